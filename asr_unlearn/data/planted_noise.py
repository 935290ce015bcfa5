"""White noise that was added to recordings before training, to see whether a model remembers it.

Pawelczyk et al., arXiv 2406.17216, call it Gaussian data poisoning. The noise of a recording can be
drawn again from its utterance's id, so that only its level has to be kept.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Float

from asr_unlearn.data.noise import white_noise
from asr_unlearn.runtime.documents import read_json
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import write_json

Wave = Float[np.ndarray, " samples"]


@dataclass(frozen=True)
class PlantedNoise:
    """The noise in some recordings of a corpus.

    Attributes:
        seed: that it is drawn from, with the utterances' ids.
        levels: root mean square of the noise in a recording, by utterance id.
    """

    seed: int
    levels: Mapping[str, float]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            InputError: the file holds something else.
        """
        found = read_json(path)
        try:
            levels = {str(name): float(level) for name, level in found["levels"].items()}
            return cls(int(found["seed"]), levels)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InputError(
                f"{path} is not what `python -m data_prep.planted_noise` writes beside a manifest"
            ) from None

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))

    def noise(self, name: str, samples: int, draw: int = 0) -> Wave:
        """Return the noise of an utterance, float32; with another draw than 0 one never planted."""
        return np.float32(self.levels[name]) * white_noise(f"{name} {self.seed} {draw}", samples)


def level_of(wave: Wave, snr: float) -> float:
    """The root mean square of noise with this signal-to-noise ratio, in dB."""
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) * 10 ** (-snr / 20)
