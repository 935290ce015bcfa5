"""CMU AN4: 84 speakers spelling and counting; its archive, or a folder with `etc/` and `wav/`.

Its recordings may be in any of the published forms: headerless in either byte order, or SPHERE.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.runtime.errors import InputError
from data_prep.download import Archive
from data_prep.lists import key_of, read_lines
from data_prep.prepare import add_download_flags, command_line, locate, prepare
from data_prep.recordings import find_recordings, sought

# Carnegie Mellon publishes no checksum of it.
ARCHIVES = {
    "an4": Archive("http://www.speech.cs.cmu.edu/databases/an4/an4_raw.bigendian.tar.gz"),
}
SUFFIXES = (".raw", ".sph", ".flac", ".wav")
# Of a recording's path: set, speaker and name.
PARTS = 3
TRANSCRIPT = re.compile(r"^(?P<text>.*)\((?P<id>[^()\s]+)\)\s*$")


def scan(folder: Path) -> Iterator[Utterance]:
    """Utterances of both subsets, in the corpus' order; the speaker is the name of the folder.

    Utterances in only one of `.fileids` and `.transcription` have no text or audio; `validate`
    names them.

    Raises:
        FileNotFoundError: the lists are missing.
        InputError: a bad line, or no line names a recording.
    """
    root = folder if (folder / "etc").is_dir() else folder / "an4"
    if not (root / "etc").is_dir():
        raise FileNotFoundError(f"{folder}: neither here nor in an4/ is AN4's folder etc/")
    # Not "**", which does not go into folders that are links.
    recordings = {
        place: path
        for depth in ("*/*", "*/*/*")
        for place, path in find_recordings(root / "wav", SUFFIXES, depth).items()
    }
    lists = {subset: root / "etc" / f"an4_{subset}.fileids" for subset in ("train", "test")}
    listed = {
        subset: [key_of(text, PARTS) for _, text in read_lines(path)]
        for subset, path in lists.items()
    }
    keys = [key for subset in listed.values() for key in subset]
    if not recordings.keys() & set(keys):
        raise InputError(
            f"{root / 'etc'}: {len(keys)} of {len(keys)} lines of the .fileids name no recording "
            f"in {root / 'wav'}; correct their paths"
        )
    for subset, path in lists.items():
        transcripts = _read_transcripts(root / "etc" / f"an4_{subset}.transcription")
        for key in listed[subset]:
            stem = root / "wav" / key
            yield Utterance(
                id=stem.name,
                audio=recordings.get(key) or sought(stem, SUFFIXES),
                speaker=stem.parent.name,
                seconds=0.0,
                text=transcripts.pop(stem.name, ""),
                subset=subset,
            )
        for name, text in transcripts.items():
            audio = root / "wav" / f"{name} (not listed in {path.name})"
            yield Utterance(
                id=name, audio=audio, speaker="unknown", seconds=0.0, text=text, subset=subset
            )


def _read_transcripts(path: Path) -> dict[str, str]:
    transcripts = {}
    for number, line in read_lines(path):
        match = TRANSCRIPT.match(line)
        if match is None:
            raise InputError(f"{path}, line {number}: no utterance id in brackets at its end")
        words = [word for word in match["text"].split() if word not in ("<s>", "</s>")]
        transcripts[match["id"]] = " ".join(words)
    return transcripts


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the manifest of AN4."""

    def scanned(options: argparse.Namespace) -> Iterator[Utterance]:
        return scan(locate(options, ARCHIVES))

    parser = command_line("an4", __doc__ or "", "--data data/an4 --out exp/an4/manifest.jsonl")
    add_download_flags(parser)
    return prepare(parser, arguments, scanned)


if __name__ == "__main__":
    sys.exit(main())
