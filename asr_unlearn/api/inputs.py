"""The corpus that a command reads, checked against its output."""

from pathlib import Path

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.runtime.cache import cache_folder
from asr_unlearn.runtime.outputs import check_apart


def read_corpus(manifest: Path | str, split: Path | str, out: Path) -> Corpus:
    """Return the corpus, with the cache of the output `out`.

    Raises:
        InputError: a file that cannot be used, or `out` is or holds a recording.
    """
    corpus = Corpus.read(Path(manifest), Path(split), cache_folder(out))
    check_apart(out, (utterance.audio for utterance in corpus.manifest))
    return corpus
