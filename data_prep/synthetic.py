"""A synthetic corpus in LibriSpeech's layout, spoken by espeak-ng, reproducible by its seed."""

import argparse
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import soxr
from jaxtyping import Float

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import atomic_write, write_json
from asr_unlearn.runtime.processes import working
from asr_unlearn.runtime.progress import Bar
from data_prep import librispeech
from data_prep.espeak import Espeak, Voice
from data_prep.prepare import check_number, command_line, prepare

SUBSET = "train-synthetic"
CHAPTER = "1"
FIRST_SPEAKER = 101
PLAN = "synthetic.json"

ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029")
# Of espeak's 104 variants those that differ most in mean spectrum and pitch, without whispers and
# robots, in an order in which every prefix is well mixed.
VOICES = (
    ("f3", "F"), ("m1", "M"), ("steph2", "F"), ("m8", "M"), ("ed", "M"), ("anika", "F"),
    ("norbert", "M"), ("Marco", "M"), ("shelby", "F"), ("Lee", "M"), ("travis", "M"),
    ("Alicia", "F"), ("Gene2", "M"), ("pablo", "M"), ("grandma", "F"), ("Storm", "M"),
    ("announcer", "M"), ("belinda", "F"), ("miguel", "M"), ("iven", "M"), ("Andrea", "F"),
    ("ian", "M"), ("boris", "M"), ("f5", "F"), ("Jacky", "M"), ("paul", "M"), ("f1", "F"),
    ("john", "M"), ("Hugo", "M"), ("Annie", "F"), ("edward", "M"), ("aunty", "F"),
)  # fmt: skip

# 51 words that sound different, few enough for a small model to learn from minutes of speech.
WORDS = {
    "det": "the my your every this",
    "adj": "red green small old young happy quiet bright",
    "who": "dog cat bird horse farmer doctor teacher sailor",
    "thing": "garden river house table letter window boat mountain",
    "does": "sees finds likes paints follows watches draws",
    "acts": "sings sleeps runs waits smiles dances",
    "where": "near under behind beside",
    "when": "today again slowly often never",
}
SENTENCES = tuple(
    pattern.split()
    for pattern in (
        "det who acts",
        "det adj who acts",
        "det who acts when",
        "det who does det thing",
        "det who acts where det thing",
        "det adj who does det thing",
        "det who does det adj thing",
        "det adj who acts where det thing",
        "det adj who does det adj thing",
        "det who does det adj thing when",
    )
)


@dataclass(frozen=True)
class Speaker:
    """A speaker's voice and sentences."""

    id: str
    sex: str
    voice: Voice
    sentences: tuple[str, ...]


def plan_speakers(speakers: int, sentences: int, seed: int) -> list[Speaker]:
    """Draw every speaker's voice and sentences; no sentence occurs twice in the corpus.

    More speakers do not change the first ones.

    Raises:
        InputError: the grammar has too few sentences, or a number is below 1.
    """
    for flag, value, least in (
        ("--speakers", speakers, 1),
        ("--sentences", sentences, 1),
        ("--seed", seed, 0),
    ):
        check_number(flag, value, at_least=least)
    said: set[str] = set()
    planned = []
    for index in range(speakers):
        rng = np.random.default_rng([seed, index])
        variant, sex = VOICES[index % len(VOICES)]
        voice = Voice(
            accent=str(rng.choice(ACCENTS)),
            variant=variant,
            pitch=int(rng.integers(35, 66)),
            pitch_range=int(rng.integers(30, 71)),
            rate=int(rng.integers(130, 166)),
        )
        own = tuple(_new_sentence(rng, said) for _ in range(sentences))
        planned.append(Speaker(str(FIRST_SPEAKER + index), sex, voice, own))
    return planned


def _new_sentence(rng: np.random.Generator, said: set[str]) -> str:
    for _ in range(10_000):
        pattern = SENTENCES[rng.integers(len(SENTENCES))]
        sentence = " ".join(str(rng.choice(WORDS[kind].split())) for kind in pattern)
        if sentence not in said:
            said.add(sentence)
            return sentence
    raise InputError(f"the grammar has no new sentence left after {len(said)}; ask for fewer")


def room(
    speech: Float[np.ndarray, " samples"], rng: np.random.Generator
) -> Float[np.ndarray, " samples"]:
    """Speech at 16 kHz as recorded in a room.

    It has pauses around it, three early reflections, noise 25-40 dB below and a random level, with
    a peak of at most 0.9.
    """
    lead, tail = rng.integers(SAMPLE_RATE // 20, SAMPLE_RATE // 5, size=2)
    dry = np.pad(speech, (int(lead), int(tail)))
    wet = dry.copy()
    for delay in rng.integers(SAMPLE_RATE // 200, SAMPLE_RATE // 30, size=3):
        wet[delay:] += rng.uniform(0.05, 0.25) * dry[:-delay]
    power = float(np.mean(np.square(speech)))
    noise = rng.normal(size=len(wet)) * np.sqrt(power * 10 ** (-rng.uniform(25, 40) / 10))
    wet = wet + noise.astype(np.float32)
    level: float = rng.uniform(0.3, 0.9) / np.abs(wet).max()
    return np.asarray(level * wet, dtype=np.float32)


def speak_chapter(speaker: Speaker, root: Path, seed: int) -> None:
    """Write one speaker's folder atomically; run it in a process of its own (see `Espeak`)."""
    folder = root / SUBSET / speaker.id
    partial_folder = root / f".{speaker.id}.partial"
    shutil.rmtree(partial_folder, ignore_errors=True)
    chapter = partial_folder / CHAPTER
    chapter.mkdir(parents=True)
    espeak = Espeak(seed)
    lines = []
    for number, sentence in enumerate(speaker.sentences):
        spoken = espeak.speak(sentence, speaker.voice).astype(np.float32) / 2**15
        speech = soxr.resample(spoken, espeak.sample_rate, SAMPLE_RATE)
        rng = np.random.default_rng([seed, int(speaker.id), number])
        name = f"{speaker.id}-{CHAPTER}-{number:04d}"
        soundfile.write(chapter / f"{name}.flac", room(speech, rng), SAMPLE_RATE, "PCM_16")
        lines.append(f"{name} {sentence.upper()}\n")
    (chapter / f"{speaker.id}-{CHAPTER}.trans.txt").write_text("".join(lines), encoding="utf-8")
    folder.parent.mkdir(exist_ok=True)
    partial_folder.rename(folder)


def synthesise(
    root: Path,
    *,
    speakers: int = 24,
    sentences: int = 20,
    seed: int = 0,
    workers: int | None = None,
) -> None:
    """Write the corpus to `root`; a second call adds the speakers that are missing.

    Raises:
        FileExistsError: `root` holds anything but this very corpus.
    """
    planned = plan_speakers(speakers, sentences, seed)
    content = json.dumps([asdict(speaker) for speaker in planned], sort_keys=True)
    plan: dict[str, int | str] = {
        "speakers": speakers,
        "sentences": sentences,
        "seed": seed,
        "sha256": hashlib.sha256(content.encode()).hexdigest(),
    }
    _claim(root, plan)
    missing = [speaker for speaker in planned if not (root / SUBSET / speaker.id).is_dir()]
    speak = partial(speak_chapter, root=root, seed=seed)
    calls = [partial(speak, speaker) for speaker in missing]
    bar = Bar(total=len(missing), desc="speaking", unit="speaker")
    with working(workers or os.cpu_count() or 1, calls, one_call_each=True) as spoken, bar:
        for done in as_completed(spoken):
            done.result()
            bar.update()
    _write_speakers(root, planned)


def _claim(root: Path, plan: dict[str, int | str]) -> None:
    path = root / PLAN
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found != plan:
            raise FileExistsError(f"{root} holds another corpus ({found}); choose another folder")
    elif root.exists() and any(root.iterdir()):
        raise FileExistsError(f"{root} is not empty and holds no {PLAN}; choose another folder")
    else:
        write_json(path, plan)


def _write_speakers(root: Path, speakers: Sequence[Speaker]) -> None:
    rows = [";ID  |SEX| SUBSET           |MINUTES| NAME"]
    for speaker in speakers:
        files = sorted((root / SUBSET / speaker.id).glob("*/*.flac"))
        minutes = sum(soundfile.info(str(file)).duration for file in files) / 60
        rows.append(
            f"{speaker.id:<4} | {speaker.sex} | {SUBSET:<16} | {minutes:<5.2f} | {speaker.voice}"
        )
    with atomic_write(root / "SPEAKERS.TXT") as target:
        target.write_text("\n".join(rows) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Synthesise, then write the manifest as for LibriSpeech."""

    def scanned(options: argparse.Namespace) -> Iterator[Utterance]:
        synthesise(
            options.data,
            speakers=options.speakers,
            sentences=options.sentences,
            seed=options.seed,
        )
        return librispeech.scan(options.data)

    parser = command_line(
        "synthetic",
        __doc__ or "",
        "--data data/synthetic --speakers 24 --sentences 20 --seed 0 \\\n"
        "      --out exp/quickstart/manifest.jsonl",
    )
    parser.add_argument("--speakers", type=int, default=24, help="default 24")
    parser.add_argument("--sentences", type=int, default=20, help="a speaker, default 20")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    return prepare(parser, arguments, scanned)


if __name__ == "__main__":
    sys.exit(main())
