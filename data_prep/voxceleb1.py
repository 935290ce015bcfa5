"""VoxCeleb1: a local folder in its own layout, `id10001/VIDEO/00001.wav`; there is no download.

Beside or above the recordings may lie what the corpus' site offers: `iden_split.txt` (which
utterances to train on, 1, and to test on, 3), `veri_test.txt` (pairs of utterances for speaker
verification; its speakers are never trained on) and `vox1_meta.csv` (the speakers).
"""

import argparse
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from asr_unlearn.data.manifest import Utterance, read_manifest
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import atomic_write
from asr_unlearn.runtime.outputs import check_file
from asr_unlearn.runtime.text import normal_name
from data_prep import recordings
from data_prep.lists import check_matches, key_of, read_lines
from data_prep.prepare import command_line, prepare
from data_prep.transcripts import read_transcripts, transcribed

SUFFIXES = (".wav", ".flac", ".ogg")
PART_OF = {"1": "train", "2": None, "3": "test"}
"""Of iden_split.txt; the validation utterances are left out."""
IDENTIFICATION, VERIFICATION, META = "iden_split.txt", "veri_test.txt", "vox1_meta.csv"
TRIALS = "trials.txt"
# Between the columns of a list.
SEPARATOR = re.compile(r"[\s,;]+")
# Parts of a recording's path: speaker, video and name.
PARTS = 3


def scan(folder: Path, transcripts: Mapping[str, str] | None = None) -> Iterator[Utterance]:
    """Utterances in the order of their paths; the speaker is the folder's name.

    Without `iden_split.txt` the last video of each speaker, by name, is the test set, except for
    speakers with one video. With `transcripts` (by path below the corpus, without suffix, or by id)
    an utterance without one has an empty text; `validate` names it.

    Raises:
        FileNotFoundError: no recordings in this layout.
        InputError: a bad line in a list, or a speaker that `vox1_meta.csv` lacks.
    """
    found = find_recordings(folder)
    _check_known(folder, {key.split("/")[0] for key in found})
    unseen = {key.split("/")[0] for pair in verification_pairs(folder) for key in pair[1:]}
    listed = identification(folder, found)
    texts = _named(transcripts, found)
    last = {key.split("/")[0]: key.split("/")[1] for key in found}
    first = {key.split("/")[0]: key.split("/")[1] for key in reversed(found)}
    for key, path in found.items():
        speaker, video, name = key.split("/")
        if speaker in unseen:
            subset: str | None = "dev"
        elif listed:
            subset = listed.get(key)
        else:
            subset = "test" if video == last[speaker] != first[speaker] else "train"
        if subset is None:
            continue
        identity = f"{speaker}-{video}-{name}"
        text = None if texts is None else texts.get(key, texts.get(identity, ""))
        yield Utterance(
            id=identity, audio=path, speaker=speaker, seconds=0.0, text=text, subset=subset
        )


def _named(
    transcripts: Mapping[str, str] | None, recordings: Collection[str]
) -> dict[str, str] | None:
    """Transcripts by names in their normal form; raises InputError if no recording has one."""
    if transcripts is None:
        return None
    texts = {normal_name(name): text for name, text in transcripts.items()}
    known = {*recordings, *(key.replace("/", "-") for key in recordings)}
    if not texts.keys() & known:
        raise InputError(
            f"{len(texts)} of {len(texts)} transcripts name no recording of this corpus; name them "
            "by path, such as id10001/VIDEO/00001.wav, or by id, such as id10001-VIDEO-00001"
        )
    return texts


def find_recordings(folder: Path) -> dict[str, Path]:
    """Recordings by "speaker/video/name", sorted; in `folder`, `wav/` or `vox1_*_wav/wav/`."""
    roots = [folder, folder / "wav", *folder.glob("vox1_*_wav"), *folder.glob("vox1_*_wav/wav")]
    found: dict[str, Path] = {}
    for root in roots:
        found |= recordings.find_recordings(root, SUFFIXES, "id*/*/*")
    if not found:
        raise FileNotFoundError(
            f"{folder}: no recordings id10001/VIDEO/00001.wav, here, in wav/ or in vox1_dev_wav/wav"
        )
    return dict(sorted(found.items()))


def identification(folder: Path, known: Collection[str]) -> dict[str, str | None]:
    """Subset by recording, from `iden_split.txt`, which must name some of the `known`; or none."""
    subsets = {}
    for path, number, line in _lines(folder, IDENTIFICATION):
        part, _, rest = SEPARATOR.sub(" ", line).partition(" ")
        key = key_of(rest, PARTS)
        if part not in PART_OF or key.count("/") != PARTS - 1:
            raise InputError(f"{path}, line {number}: expected '1 id10001/VIDEO/00001.wav'")
        subsets[key] = PART_OF[part]
    for path in _list(folder, IDENTIFICATION):
        check_matches(path, subsets, known)
    return subsets


def verification_pairs(folder: Path) -> list[tuple[str, str, str]]:
    """("1" for the same speaker or "0", recording, recording), from `veri_test.txt`."""
    pairs = []
    for path, number, line in _lines(folder, VERIFICATION):
        same, *paths = SEPARATOR.sub(" ", line).split()
        keys = [key_of(given, PARTS) for given in paths]
        if same not in ("0", "1") or [key.count("/") for key in keys] != [PARTS - 1] * 2:
            raise InputError(f"{path}, line {number}: expected '1 PATH PATH' or '0 PATH PATH'")
        pairs.append((same, keys[0], keys[1]))
    return pairs


def _list(folder: Path, name: str) -> list[Path]:
    """A list in the folder, or in the one above; or none."""
    return [path for path in (folder / name, folder.parent / name) if path.is_file()][:1]


def _lines(folder: Path, name: str) -> Iterator[tuple[Path, int, str]]:
    for path in _list(folder, name):
        for number, line in read_lines(path):
            yield path, number, line


def _check_known(folder: Path, speakers: set[str]) -> None:
    known = {re.split(r"[\t,;]", line)[0].strip() for _, _, line in _lines(folder, META)}
    if known and (unknown := sorted(speakers - known)):
        raise InputError(f"{folder}: {META} lacks {', '.join(unknown[:5])}; is this VoxCeleb1?")


def write_trials(folder: Path, manifest: Path) -> None:
    """Write the verification pairs whose utterances are both kept, by id, beside the manifest."""
    kept = {utterance.id for utterance in read_manifest(manifest)}
    pairs = [
        (same, first.replace("/", "-"), second.replace("/", "-"))
        for same, first, second in verification_pairs(folder)
    ]
    whole = [pair for pair in pairs if kept.issuperset(pair[1:])]
    with atomic_write(manifest.with_name(TRIALS)) as partial:
        partial.write_text("".join(f"{' '.join(pair)}\n" for pair in whole), encoding="utf-8")
    print(f"{len(whole)} of {len(pairs)} verification trials have both utterances")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the manifest of VoxCeleb1, and its verification trials if there are any."""

    def scanned(options: argparse.Namespace) -> Iterator[Utterance]:
        check_file(options.out.with_name(TRIALS))
        given = read_transcripts(options.transcripts) if options.transcripts else None
        found = scan(options.data, given)
        if options.transcribe:
            found = transcribed(found, options.transcribe, options.out.parent / "transcripts")
        return found

    parser = command_line("voxceleb1", __doc__ or "", "--data vox1 --out exp/vox1/manifest.jsonl")
    texts = parser.add_mutually_exclusive_group()
    texts.add_argument(
        "--transcripts",
        type=Path,
        help="texts by path or id: .jsonl, .csv or .tsv; utterances without one are left out",
    )
    texts.add_argument(
        "--transcribe", metavar="MODEL", help="a recogniser that writes them: name or folder"
    )
    status = prepare(parser, arguments, scanned)
    if status == 0:
        options = parser.parse_args(arguments)
        if verification_pairs(options.data):
            write_trials(options.data, options.out)
    return status


if __name__ == "__main__":
    sys.exit(main())
