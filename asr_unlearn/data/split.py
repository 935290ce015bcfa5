"""The split of a corpus into disjoint parts for a deletion request."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from asr_unlearn.data.forget_list import SplitError
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.runtime.io import digest_of

OF_EVERY_SPLIT = ("forget", "forget_heldout", "retain", "unseen", "test")
PARTS = (*OF_EVERY_SPLIT, "forgotten")
"""In this order; only the split of a later request has the last."""
Part = Literal["forget", "retain", "unseen", "train"]
"""What batches are drawn from: a part of the split, or "train", all that a model is trained on."""


@dataclass(frozen=True)
class Split:
    """The utterances of each part.

    `forget`: training utterances of the forget speakers; `forget_heldout`: their utterances that
    are never trained on; `retain`: training utterances of all other speakers; `unseen`: speakers
    never trained on, for the stop rule and membership inference; `test`: used in the evaluation
    only, of speakers never trained on and, if the corpus divides so, of those of `retain`.

    Where labels are forgotten, `forget` and `forget_heldout` are the utterances with these labels,
    `forget_heldout` those of speakers never trained on as well. The other parts have none.

    `forgotten`: what was `forget` in earlier requests (see `later_request`).
    """

    seed: int
    forget_speakers: tuple[str, ...]
    unseen_speakers: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]]
    forget_labels: tuple[str, ...] = ()
    forgotten_speakers: tuple[str, ...] = ()
    salt: str = field(default="", compare=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the request, the parts and the salt, which keeps names from being guessed."""
        content = asdict(self)
        # Splits of earlier versions have none of these.
        for name in ("salt", "forgotten_speakers"):
            if not content[name]:
                del content[name]
        return digest_of(content)

    def check_part(self, part: str) -> None:
        """Raises SplitError for an unknown part."""
        if part not in PARTS:
            raise SplitError(f"no part is called {part!r}; there are {', '.join(PARTS)}")

    def by_part(self, manifest: Iterable[Utterance]) -> dict[str, list[Utterance]]:
        """The utterances of every part, in the manifest's order."""
        members = {part: set(ids) for part, ids in self.parts.items()}
        found: dict[str, list[Utterance]] = {part: [] for part in members}
        for utterance in manifest:
            for part, ids in members.items():
                if utterance.id in ids:
                    found[part].append(utterance)
        return found
