"""Google Speech Commands v0.02: single words of many speakers, as `WORD/SPEAKER_nohash_N`.

Warden, "Speech Commands: a dataset for limited-vocabulary speech recognition", arXiv 1804.03209.
"""

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from asr_unlearn.data.audio import SAMPLE_RATE, load_audio
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import atomic_write
from asr_unlearn.runtime.text import names_in
from data_prep.download import Archive
from data_prep.lists import check_matches, key_of, read_lines
from data_prep.prepare import add_download_flags, check_number, command_line, locate, prepare
from data_prep.recordings import find_recordings

ARCHIVES = {
    "v0.02": Archive(
        "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    )
}
SUFFIXES = (".wav", ".flac")
MARK = "_nohash_"
UNKNOWN, SILENCE, NOISE = "_unknown_", "_silence_", "_background_noise_"
LISTS = {"dev": "validation_list.txt", "test": "testing_list.txt"}
# The corpus' own rule for the sets: its README, and `which_set` of its authors.
BUCKETS = 2**27 - 1
PERCENT = {"dev": 10.0, "test": 10.0}
# The stretch of each recording of noise that belongs to each set.
STRETCHES = {"train": (0.0, 0.8), "dev": (0.8, 0.9), "test": (0.9, 1.0)}


def subset_of(speaker: str) -> str:
    """The set of a speaker by the published rule, from the SHA-1 of their id.

    "dev" is the corpus' validation set. All clips of a speaker fall into one set, whatever else
    is in the corpus.
    """
    bucket = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % (BUCKETS + 1)
    percentage = bucket * (100.0 / BUCKETS)
    if percentage < PERCENT["dev"]:
        return "dev"
    return "test" if percentage < PERCENT["dev"] + PERCENT["test"] else "train"


def scan(folder: Path) -> Iterator[Utterance]:
    """Every clip of every word, by word and name; text and label are the word.

    The sets are those of the corpus' lists where it has them, else those of `subset_of`.

    Raises:
        FileNotFoundError: there are no words.
        InputError: one list without the other.
    """
    found = {
        key: path
        for key, path in find_recordings(folder, SUFFIXES, "*/*").items()
        if MARK in path.stem
    }
    if not found:
        raise FileNotFoundError(f"{folder}: no folder WORD with clips SPEAKER{MARK}N.wav or .flac")
    subset = _subsets(folder, found)
    for name, path in found.items():
        speaker = path.stem.partition(MARK)[0]
        word = path.parent.name
        yield Utterance(
            id=name,
            audio=path,
            speaker=speaker,
            seconds=0.0,
            text=word,
            label=word,
            subset=subset(name, speaker),
        )


def _subsets(root: Path, clips: Collection[str]) -> Callable[[str, str], str]:
    """From a clip's name and speaker to its set; a list must name some of the `clips`."""
    paths = {subset: root / name for subset, name in LISTS.items()}
    present = {subset: path for subset, path in paths.items() if path.is_file()}
    if not present:
        return lambda _, speaker: subset_of(speaker)
    if lacking := paths.keys() - present.keys():
        raise InputError(f"{root}: no {', '.join(LISTS[s] for s in lacking)} beside the other list")
    listed: dict[str, str] = {}
    for subset, path in present.items():
        keys = [key_of(text, 2) for _, text in read_lines(path)]
        check_matches(path, keys, clips)
        listed |= dict.fromkeys(keys, subset)
    return lambda name, _: listed.get(name, "train")


def chosen(
    utterances: Sequence[Utterance], words: Sequence[str], unknown: float, seed: int
) -> list[Utterance]:
    """The clips of these words, and of others a drawn number with the label `_unknown_`.

    `unknown` is that number as a share of the clips that are kept, the same in each set. Their
    `text` stays the word.

    Raises:
        InputError: a word that the corpus does not have.
    """
    have = {u.text or "" for u in utterances}
    if absent := [word for word in words if word not in have]:
        raise InputError(f"no word {', '.join(absent)}; there are {', '.join(sorted(have))}")
    wanted = set(words)
    kept = {u.id: u for u in utterances if u.label in wanted}
    others: dict[str | None, list[Utterance]] = {subset: [] for subset in STRETCHES}
    for utterance in utterances:
        if utterance.label not in wanted:
            others[utterance.subset].append(utterance)
    for subset, count in _shares(kept.values(), unknown).items():
        pool = others[subset]
        rng = np.random.default_rng([seed, 0, list(STRETCHES).index(subset)])
        for i in rng.permutation(len(pool))[:count]:
            kept[pool[i].id] = replace(pool[i], label=UNKNOWN)
    return [kept[u.id] for u in utterances if u.id in kept]


def _shares(utterances: Iterable[Utterance], share: float) -> dict[str, int]:
    counts = Counter(u.subset for u in utterances)
    return {subset: round(share * counts[subset]) for subset in STRETCHES}


def cut_silence(
    noises: Path, folder: Path, counts: Mapping[str, int], seed: int
) -> Iterator[Utterance]:
    """Seconds of the corpus' background noise, written to `folder`; they have no transcript.

    Each set has its own stretch of every recording, in which the start of a second is drawn. The
    speaker is the recording and the set, so that no speaker is in two sets.

    Raises:
        FileNotFoundError: the corpus has no noise.
    """
    recordings = list(find_recordings(noises, SUFFIXES).values())
    if not recordings:
        raise FileNotFoundError(f"--silence: no recordings in {noises}")
    waves = {path.stem: load_audio(path) for path in recordings}
    for number, (subset, count) in enumerate(counts.items()):
        rng = np.random.default_rng([seed, 1, number])
        for index in range(count):
            name = recordings[index % len(recordings)].stem
            low, high = (round(end * len(waves[name])) for end in STRETCHES[subset])
            start = int(rng.integers(low, max(low, high - SAMPLE_RATE) + 1))
            path = folder / f"{name}_{subset}_{index}.wav"
            with atomic_write(path) as partial:
                second = waves[name][start : start + SAMPLE_RATE]
                soundfile.write(partial, second, SAMPLE_RATE, "PCM_16", format="WAV")
            yield Utterance(
                id=f"{SILENCE}/{path.stem}",
                audio=path,
                speaker=f"{NOISE}/{name}/{subset}",
                seconds=0.0,
                label=SILENCE,
                subset=subset,
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the manifest of Speech Commands."""

    def scanned(options: argparse.Namespace) -> list[Utterance]:
        for flag in ("unknown", "silence"):
            check_number(f"--{flag}", getattr(options, flag), at_least=0)
        check_number("--seed", options.seed, at_least=0)
        words = names_in(options.words or "")
        if options.unknown and not words:
            raise InputError("--unknown needs --words: without them no word is another")
        folder = locate(options, ARCHIVES)
        found = list(scan(folder))
        if words:
            found = chosen(found, words, options.unknown, options.seed)
        counts = _shares(found, options.silence)
        if any(counts.values()):
            noises, target = folder / NOISE, options.out.parent / SILENCE
            found += cut_silence(noises, target, counts, options.seed)
        return found

    parser = command_line(
        "speechcommands",
        __doc__ or "",
        "--data data/speech_commands --download \\\n"
        "      --words down,go,left,right,up --unknown 0.1 --silence 0.1 \\\n"
        "      --out exp/speechcommands/manifest.jsonl",
    )
    parser.add_argument("--words", help="with commas; default: all there are")
    parser.add_argument(
        "--unknown",
        type=float,
        default=0.0,
        metavar="SHARE",
        help=f"other words' clips to keep as the class {UNKNOWN}, as a share of those of --words",
    )
    parser.add_argument(
        "--silence",
        type=float,
        default=0.0,
        metavar="SHARE",
        help=f"seconds of background noise to cut as the class {SILENCE}, as a share of the clips; "
        "written beside the manifest; for classifiers, they have no transcript",
    )
    parser.add_argument("--seed", type=int, default=0, help="of --unknown and --silence, default 0")
    add_download_flags(parser)
    return prepare(parser, arguments, scanned)


if __name__ == "__main__":
    sys.exit(main())
