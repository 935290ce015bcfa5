"""Add noise to the recordings of some speakers, to test later whether a model remembers them.

Train, unlearn and retrain with the manifest that this writes, and give the .noise.json beside it to
`asr-unlearn evaluate --measures planted_noise=...`. The noise is in no other recording: only a
model that was trained on these can have learnt it.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from asr_unlearn.data.audio import SAMPLE_RATE, AudioError, load_audio
from asr_unlearn.data.forget_list import check_known, read_names
from asr_unlearn.data.manifest import Utterance, read_manifest
from asr_unlearn.data.planted_noise import PlantedNoise, level_of
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import atomic_write
from asr_unlearn.runtime.outputs import check_file
from data_prep.prepare import checking_line, prepare
from data_prep.segments import Segments, file_for

# Ratios of signal to noise that are neither all noise nor lost in single precision, in dB.
LOUDEST, FAINTEST = -20.0, 60.0


def scan(options: argparse.Namespace) -> Iterator[Utterance]:
    """The manifest's utterances, those of the speakers with noise in new recordings.

    The levels of the noise are written when all have been read.

    Raises:
        InputError: an unknown speaker, or a ratio that is out of range.
    """
    if not LOUDEST <= options.snr <= FAINTEST:
        raise InputError(f"--snr {options.snr:g}: give {LOUDEST:g} to {FAINTEST:g} dB")
    utterances = read_manifest(options.manifest)
    speakers = {utterance.speaker for utterance in utterances}
    chosen = read_names(options.speakers, speakers)
    check_known("speaker", chosen, speakers, ())
    folder, record = Segments(options.out).folder, options.out.with_suffix(".noise.json")
    check_file(record, options.manifest, options.speakers)
    levels: dict[str, float] = {}
    planted = PlantedNoise(options.seed, levels)
    for utterance in utterances:
        if utterance.speaker not in chosen:
            yield utterance
            continue
        try:
            wave = load_audio(utterance.audio)
        except AudioError:
            # The check names the reason.
            yield utterance
            continue
        levels[utterance.id] = level_of(wave, options.snr)
        noise = planted.noise(utterance.id, len(wave))
        path = file_for(folder, utterance.id, ".wav")
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            # In floating point, so that the noise can be taken off again.
            data = np.asarray(wave + noise, dtype=np.float32)
            soundfile.write(partial, data, SAMPLE_RATE, subtype="FLOAT", format="WAV")
        yield replace(utterance, audio=path, sha256=None)
    planted.write(record)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = checking_line(
        "planted_noise",
        __doc__.split("\n\n")[0],
        "--manifest out/manifest.jsonl --speakers forget.txt --out out/planted.jsonl",
    )
    parser.add_argument("--manifest", type=Path, required=True, help="of the corpus")
    parser.add_argument(
        "--speakers", type=Path, required=True, help="whose recordings get noise, one a line"
    )
    parser.add_argument(
        "--snr", type=float, default=20.0, help="signal-to-noise ratio in dB (default 20)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default 0)")
    return prepare(parser, arguments, scan)


if __name__ == "__main__":
    sys.exit(main())
