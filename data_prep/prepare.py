"""The command line of all corpora, and the steps from scanned utterances to a manifest."""

import argparse
import math
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.duplicates import find_copies
from asr_unlearn.data.manifest import Utterance, write_manifest
from asr_unlearn.data.validation import Problem, Validation, conv_frames, validate
from asr_unlearn.runtime import program
from asr_unlearn.runtime.documents import read_json
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import read_text, write_json
from asr_unlearn.runtime.outputs import check_file
from asr_unlearn.runtime.text import printable
from data_prep.download import EXPANSION, GIB, Archive, check, download, extract

# The front end of wav2vec2-base and -large, HuBERT and WavLM: 25 ms windows every 20 ms.
WAV2VEC2_KERNELS = (10, 3, 3, 3, 3, 2, 2)
WAV2VEC2_STRIDES = (5, 2, 2, 2, 2, 2, 2)
# Samples from frame to frame of OpenAI's Whisper, and seconds that any other model can take.
WHISPER_HOP, LONGEST = 160, 35.0
LISTED = 20


def command_line(name: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser with the flags of every corpus; a corpus adds its own."""
    parser = checking_line(name, description, example)
    parser.add_argument("--data", type=Path, required=True, help="the corpus: folder or archive")
    return parser


def checking_line(name: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser with the flags of the checks."""
    parser = argparse.ArgumentParser(
        prog=f"python -m data_prep.{name}",
        description=description,
        epilog=f"example:\n  python -m data_prep.{name} {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="manifest.jsonl to write; problems go beside it"
    )
    parser.add_argument(
        "--strict", action="store_true", help="write no manifest, exit 1 if any utterance is bad"
    )
    parser.add_argument(
        "--config", type=Path, help="model config.json whose frames must hold the transcripts"
    )
    parser.add_argument(
        "--max-seconds",
        type=_positive,
        help=f"longest recording to keep (default: a Whisper's window, or {LONGEST:g})",
    )
    parser.add_argument(
        "--alphabet", help="allowed characters: a string, a text file, or a vocab.json"
    )
    parser.add_argument(program.DEBUG, action="store_true", help=program.DEBUG_HELP)
    return parser


def _positive(text: str) -> float:
    """Parse a number above 0; raises ArgumentTypeError for anything else."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text!r}: give a number above 0")
    return number


def add_download_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of the corpora that can be downloaded."""
    parser.add_argument("--download", action="store_true", help="fetch archives into --data first")
    parser.add_argument(
        "--md5", action="append", default=[], metavar="NAME=HEX", help="checksum of an archive"
    )
    parser.add_argument("--no-checksum", action="store_true", help="accept archives unverified")
    parser.add_argument(
        "--max-unpacked",
        type=_positive,
        metavar="GIB",
        help=f"most that an archive may unpack to (default: {EXPANSION} times its size)",
    )


def locate(options: argparse.Namespace, archives: Mapping[str, Archive]) -> Path:
    """The folder of the corpus that `--data` gives, after download or extraction.

    Raises:
        FileNotFoundError: it does not exist.
        ArchiveError: download or extraction failed.
    """
    data: Path = options.data
    most = None if options.max_unpacked is None else int(options.max_unpacked * GIB)
    given = dict(entry.partition("=")[::2] for entry in options.md5)
    if unknown := given.keys() - archives.keys():
        raise InputError(f"--md5 {sorted(unknown)} names none of {sorted(archives)}")
    published = [replace(one, md5=given.get(name, one.md5)) for name, one in archives.items()]
    if options.download:
        for archive in published:
            fetched = download(archive, data, verify=not options.no_checksum)
            extract(fetched, data, most=most)
    elif data.is_file():
        for archive in published:
            if archive.filename == data.name and not options.no_checksum:
                check(archive, data)
        extract(data, data.parent, most=most)
        return data.parent
    if not data.is_dir():
        raise FileNotFoundError(f"--data {data}: no such folder or archive")
    return data


def prepare(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    scan: Callable[[argparse.Namespace], Iterable[Utterance | Problem]],
) -> int:
    """Parse, scan, validate and write; returns the exit status."""
    given, debug = program.without_debug(sys.argv[1:] if arguments is None else arguments)

    def work() -> int:
        options = parser.parse_args(given)
        # All arguments are checked before anything is downloaded or decoded.
        _check_files(options)
        longest = _longest(options.config) if options.max_seconds is None else options.max_seconds
        alphabet = _read_alphabet(options.alphabet) if options.alphabet else None
        frames = _frames(options.config)
        validation = validate(scan(options), alphabet=alphabet, frames=frames, max_seconds=longest)
        return publish(validation, options.out, strict=options.strict)

    return program.run_program(parser.prog, work, debug=debug, failed=2)


def check_number(flag: str, value: float, *, at_least: float) -> None:
    """Raises InputError, naming the flag, for a number below what is possible, infinite or NaN."""
    if not at_least <= value < math.inf:
        raise InputError(f"{flag} must be {at_least:g} or more, not {value}")


def _check_files(options: argparse.Namespace) -> None:
    """Raises InputError where an output cannot be written, or is one of the inputs."""
    inputs = [path for flag, path in vars(options).items() if flag != "out"]
    inputs = [path for path in inputs if isinstance(path, Path)]
    if options.alphabet:
        inputs.append(Path(options.alphabet))
    check_file(options.out, *inputs, keys=("id", "audio", "speaker"))
    check_file(_report_of(options.out), *inputs, keys=("checked", "kept"))


def _report_of(out: Path) -> Path:
    """The file with the problems of a manifest."""
    return out.with_suffix(".problems.json")


def publish(validation: Validation, out: Path, *, strict: bool) -> int:
    """Write `out` and its `.problems.json`, and print a summary; returns the exit status."""
    kept, problems = validation.kept, validation.problems
    copies = find_copies(kept)
    report = _report_of(out)
    write_json(
        report,
        {
            "checked": len(kept) + len(problems),
            "kept": len(kept),
            "problems": [asdict(problem) for problem in problems],
            "copies": [asdict(copy) for copy in copies],
        },
    )
    for listed in (problems, copies):
        for problem in listed if strict else listed[:LISTED]:
            print(f"{problem.id}: {problem.reason}: {problem.detail}", file=sys.stderr)
        if not strict and len(listed) > LISTED:
            print(f"... and {len(listed) - LISTED} more, all in {report}", file=sys.stderr)
    if copies:
        print(
            f"copies that are kept: {len(copies)}; asr-unlearn split refuses to forget one of two "
            "and keep the other, so take one of them out of the manifest",
            file=sys.stderr,
        )
    print(_summary(validation))
    if not kept or (strict and problems):
        why = "--strict" if kept else "no utterance is usable"
        print(f"no manifest written ({why}); see {report}", file=sys.stderr)
        return 1
    write_manifest(out, kept)
    print(f"wrote {printable(str(out))}")
    return 0


def _summary(validation: Validation) -> str:
    kept, problems = validation.kept, validation.problems
    hours = sum(utterance.seconds for utterance in kept) / 3600
    speakers = len({utterance.speaker for utterance in kept})
    subsets = Counter(utterance.subset or "no subset" for utterance in kept)
    parts = ", ".join(f"{name} {count}" for name, count in sorted(subsets.items()))
    reasons = Counter(problem.reason for problem in problems)
    left_out = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
    return (
        f"checked {len(kept) + len(problems)}, kept {len(kept)} "
        f"({hours:.2f} h, {speakers} speakers; {parts or 'none'}), "
        f"left out {len(problems)}" + (f" ({left_out})" if left_out else "")
    )


def _frames(config: Path | None) -> Callable[[int], int] | None:
    """Samples to CTC frames of a Hugging Face config; None for models without such a front end."""
    kernels, strides = WAV2VEC2_KERNELS, WAV2VEC2_STRIDES
    if config is not None:
        content = read_json(config)
        if "conv_kernel" not in content or "conv_stride" not in content:
            print(f"{config}: no conv_kernel and conv_stride, transcript lengths are not checked")
            return None
        kernels, strides = tuple(content["conv_kernel"]), tuple(content["conv_stride"])
    return partial(conv_frames, kernels=kernels, strides=strides)


def _longest(config: Path | None) -> float:
    """Seconds of a Whisper encoder's window: two frames of its spectrogram for a position."""
    content = read_json(config) if config else {}
    if config is None or "max_source_positions" not in content:
        return LONGEST
    hop = WHISPER_HOP
    # The extractor's settings by themselves, or within those of the processor.
    for name in ("preprocessor_config.json", "processor_config.json"):
        beside = config.with_name(name)
        settings = read_json(beside) if beside.is_file() else {}
        hop = int(settings.get("feature_extractor", settings).get("hop_length", hop))
    return 2 * int(content["max_source_positions"]) * hop / SAMPLE_RATE


def _read_alphabet(value: str) -> Collection[str]:
    """Characters of a string or text file, or the one-character tokens of a `vocab.json`."""
    path = Path(value)
    if path.suffix == ".json":
        # "|" stands for the space in CTC vocabularies.
        tokens = read_json(path)
        return {token for token in tokens if len(token) == 1 and token != "|"}
    # Path.is_file raises for what is too long to be a file's name.
    text = read_text(path) if os.path.isfile(value) else value  # noqa: PTH113
    return set(text) - {"\n", "\r"}
