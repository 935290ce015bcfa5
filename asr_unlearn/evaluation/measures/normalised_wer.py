"""The WER after normalisation, for comparison with figures that are published so.

By Whisper's rules (Radford et al., 2022, appendix C) numbers, contractions, British spelling and
fillers count as alike in English, case and punctuation in other languages. The normaliser of the
Open ASR Leaderboard has these rules, and later ones for names, acronyms and compounds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from asr_unlearn.evaluation.error_rates import figures_by_part
from asr_unlearn.evaluation.measures.measure import Entry, Evaluated, Measure
from asr_unlearn.evaluation.predictions import Row
from asr_unlearn.metrics.wer import count_errors
from asr_unlearn.models.saved_model import Key
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.extras import need_extra

ENGLISH = ("en", "english")
Normaliser = Callable[[str], str]


class NormalisedWerMeasure(Measure):
    """The WER of every recogniser by part, with references and transcripts normalised alike.

    The language of an utterance is the manifest's, else English.
    """

    name: ClassVar[str] = "normalised_wer"

    def check(self, given: Evaluated) -> None:
        need_extra("normaliser", f"--measures {self.name}")
        if given.models[0].kind() == "classification":
            raise InputError(f"{self.name}: a classifier writes no words")

    def entries(self, given: Evaluated) -> Mapping[Key, Entry]:
        languages = {u.id: (u.language or "en").lower() for u in given.corpus.manifest}
        english, other = normalisers()

        def normalised(row: Row, name: str) -> str:
            text: str = row[name if (raw := f"raw_{name}") not in row else raw]
            return (english if languages[row["id"]] in ENGLISH else other)(text)

        return {key: by_part(self.name, rows, normalised) for key, rows in given.rows.items()}


def normalisers() -> tuple[Normaliser, Normaliser]:
    """Return Whisper's normalisers of English and of other languages."""
    # An extra, see `check`.
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer(), BasicTextNormalizer()


def by_part(name: str, rows: Sequence[Row], normalised: Callable[[Row, str], str]) -> Entry:
    """Return the WER of normalised texts by part under `name`, and its intervals under "ci95".

    `normalised` gives the text that a row has as its "reference" or "hypothesis".
    Utterances of whose reference nothing is left, such as "hmm", are left out.
    """
    counted = []
    for row in rows:
        if reference := normalised(row, "reference"):
            errors = count_errors(reference, normalised(row, "hypothesis"), "word")
            counted.append({**row, "word_errors": errors.errors, "words": errors.length})
    figures = figures_by_part(counted)
    return {name: figures["wer"], "ci95": {name: figures["ci95"]["wer"]}}
