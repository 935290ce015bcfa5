"""LibriSpeech speakers in VoxCeleb1's layout, several recordings ("videos") each.

    python tests/voxceleb_layout.py LIBRISPEECH_SUBSET FOLDER --seconds 4

VoxCeleb1 cannot be downloaded; this stands in for it where the recipe is tried out.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from asr_unlearn.data.audio import SAMPLE_RATE, load_audio

META = "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"


def make_layout(
    source: Path,
    folder: Path,
    *,
    speakers: int | None = None,
    utterances: int = 40,
    videos: int = 5,
    seconds: float | None = None,
) -> None:
    """`wav/id1XXXX/VIDEO/00001.wav`, `iden_split.txt`, `vox1_meta.csv` and `transcripts.tsv`.

    A video is a run of a speaker's utterances; the last video is for testing. The utterances are
    the first ones of a speaker, cut after so many `seconds`; the shortest ones, whole and with
    their transcripts, without.
    """
    split, meta, texts = [], [META], []
    names = sorted(path.name for path in source.iterdir() if path.is_dir())[:speakers]
    for number, name in enumerate(names, start=10001):
        speaker = f"id{number}"
        found = sorted((source / name).glob("*/*.opus")) or sorted((source / name).glob("*/*.flac"))
        if seconds is None:
            found = sorted(sorted(found, key=lambda path: path.stat().st_size)[:utterances])
        runs = [run.tolist() for run in np.array_split(np.arange(len(found[:utterances])), videos)]
        for video, run in enumerate(runs):
            for index, place in enumerate(run, start=1):
                key = f"{speaker}/v{video:02d}/{index:05d}.wav"
                wave = load_audio(found[place])
                kept = wave if seconds is None else wave[: round(seconds * SAMPLE_RATE)]
                (folder / "wav" / key).parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(folder / "wav" / key, kept, SAMPLE_RATE)
                split.append(f"{3 if video == videos - 1 else 1} {key}\n")
                texts.append(f"{key}\t{_text(found[place])}\n")
        meta.append(f"{speaker}\t{name}\t-\t-\t-\n")
    (folder / "iden_split.txt").write_text("".join(split))
    (folder / "vox1_meta.csv").write_text("".join(meta))
    if seconds is None:
        (folder / "transcripts.tsv").write_text("".join(texts))


def _text(path: Path) -> str:
    (listing,) = path.parent.glob("*.trans.txt")
    lines = listing.read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines)[path.stem]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--utterances", type=int, default=40, help="of a speaker, at most")
    parser.add_argument("--seconds", type=float, help="length to cut them to")
    given = parser.parse_args(arguments)
    make_layout(given.source, given.folder, utterances=given.utterances, seconds=given.seconds)


if __name__ == "__main__":
    sys.exit(main())
