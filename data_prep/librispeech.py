"""LibriSpeech and mini LibriSpeech: any subset, in the layout `SUBSET/SPEAKER/CHAPTER/`."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.text import names_in
from data_prep.download import Archive
from data_prep.lists import read_lines
from data_prep.prepare import add_download_flags, command_line, locate, prepare
from data_prep.recordings import find_recordings, is_hidden, sought

SUFFIXES = (".flac", ".opus", ".wav")
OPENSLR = "https://www.openslr.org/resources"
# Resource 12 is LibriSpeech, 31 is mini LibriSpeech; the sums are those of their md5sum.txt.
ARCHIVES = {
    name: Archive(f"{OPENSLR}/{resource}/{name}.tar.gz", md5)
    for name, resource, md5 in (
        ("train-clean-100", 12, "2a93770f6d5c6c964bc36631d331a522"),
        ("train-clean-360", 12, "c0e676e450a7ff2f54aeade5171606fa"),
        ("train-other-500", 12, "d1a0fd59409feb2c614ce4d30c387708"),
        ("dev-clean", 12, "42e2234ba48799c1f50f24a7926300a1"),
        ("dev-other", 12, "c8d0bcc9cca99d4f8b62fcc847357931"),
        ("test-clean", 12, "32fa31d27d2e1cad72775fee3f4849a9"),
        ("test-other", 12, "fb5a50374b501bb3bac4815ee91d3135"),
        ("train-clean-5", 31, "5df7d4e78065366204ca6845bb08f490"),
        ("dev-clean-2", 31, "6d7ab67ac6a1d2c993d050e16d61080d"),
    )
}


def scan(folder: Path, subsets: Sequence[str] | None = None) -> Iterator[Utterance]:
    """Utterances of the named subsets; of none named, all but the development sets.

    `folder` is the corpus or the folder that holds `LibriSpeech`. Recordings without a transcript
    and transcripts without a recording are included; `validate` names them.

    Raises:
        FileNotFoundError: naming a subset that does not exist.
    """
    root = folder / "LibriSpeech" if (folder / "LibriSpeech").is_dir() else folder
    present = sorted(path.name for path in root.iterdir() if _part(path.name) and path.is_dir())
    wanted = subsets or [name for name in present if _part(name) != "dev"]
    if missing := sorted(set(wanted) - set(present)):
        raise FileNotFoundError(f"{root}: no subset {', '.join(missing)}; present are {present}")
    if not wanted:
        raise FileNotFoundError(f"{root}: no folder train-*, dev-* or test-* to read")
    for subset in wanted:
        for chapter in sorted((root / subset).glob("*/*/")):
            if is_hidden(chapter.relative_to(root)):
                continue
            yield from _scan_chapter(chapter, _part(subset))


def _part(subset: str) -> str | None:
    return next((part for part in ("train", "dev", "test") if subset.startswith(part)), None)


def _scan_chapter(folder: Path, part: str | None) -> Iterator[Utterance]:
    transcripts: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if not path.name.lower().endswith(".trans.txt") or path.name.startswith("."):
            continue
        for _, line in read_lines(path):
            name, *words = line.split()
            transcripts[name] = " ".join(words)
    recorded = find_recordings(folder, SUFFIXES)
    for name in sorted(recorded.keys() | transcripts.keys()):
        yield Utterance(
            id=name,
            audio=recorded.get(name) or sought(folder / name, SUFFIXES),
            speaker=folder.parent.name,
            seconds=0.0,
            text=transcripts.get(name, ""),
            subset=part,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the manifest of some subsets of LibriSpeech."""

    def scanned(options: argparse.Namespace) -> Iterator[Utterance]:
        subsets = [name for given in options.subsets or () for name in names_in(given)]
        if options.download and not subsets:
            raise InputError("--download needs --subsets, any of " + ", ".join(ARCHIVES))
        # A local archive may be any of those that are published.
        wanted = subsets if options.download else list(ARCHIVES)
        if unknown := sorted(set(wanted) - ARCHIVES.keys()):
            raise InputError(f"no archive is known for {unknown}; known are {', '.join(ARCHIVES)}")
        return scan(locate(options, {name: ARCHIVES[name] for name in wanted}), subsets)

    parser = command_line(
        "librispeech",
        __doc__ or "",
        "--data data --download --subsets train-clean-5 dev-clean-2 \\\n"
        "      --out exp/mini/manifest.jsonl",
    )
    parser.add_argument(
        "--subsets",
        nargs="+",
        metavar="NAME",
        help="with spaces or commas (default: all present but dev-*)",
    )
    add_download_flags(parser)
    return prepare(parser, arguments, scanned)


if __name__ == "__main__":
    sys.exit(main())
