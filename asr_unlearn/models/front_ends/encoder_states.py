"""States of a frozen encoder, kept so that each utterance is encoded once."""

import hashlib
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

# About a thousand utterances of 10 s for whisper-tiny, 150 of 30 s for whisper-small.
MOST_BYTES = 2**30


class EncoderStates:
    """The states of the utterances that were last encoded, within a limit of memory.

    The key of an utterance is its features, since augmentation changes these.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._states: dict[bytes, Float[Tensor, "T C"]] = {}
        self._bytes = 0

    def clear(self) -> None:
        """Forget all states."""
        self._states.clear()
        self._bytes = 0

    def of(
        self,
        features: Float[Tensor, "B ..."],
        frames: Int[Tensor, " B"],
        encode: Callable[[Int[Tensor, " N"]], Float[Tensor, "N T C"]],
    ) -> Float[Tensor, "B T C"]:
        """The states of a batch.

        Args:
            features: of the utterances, padded along the second axis.
            frames: how many of the features are the utterance's own.
            encode: gives the states of the utterances at these indices.
        """
        keys = [
            hashlib.blake2b(own[:count].contiguous().numpy().tobytes()).digest()
            for own, count in zip(features.cpu(), frames.tolist(), strict=True)
        ]
        found = {key: self._states.pop(key) for key in set(keys) if key in self._states}
        if missing := [i for i, key in enumerate(keys) if key not in found]:
            made = encode(torch.tensor(missing, device=features.device))
            found.update({keys[i]: states for i, states in zip(missing, made, strict=True)})
            self._bytes += sum(states.nbytes for states in made)
        # Those of this batch are now the last to go.
        self._states.update(found)
        while self._bytes > self._most_bytes and len(self._states) > 1:
            self._bytes -= self._states.pop(next(iter(self._states))).nbytes
        return torch.stack([found[key] for key in keys])
