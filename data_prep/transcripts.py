"""Transcripts for a corpus without them: from a file, or from a recogniser."""

import csv
import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

from asr_unlearn.data.audio import SAMPLE_RATE, AudioError, load_audio
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import atomic_write, read_text
from asr_unlearn.runtime.progress import Bar
from data_prep.lists import key_of, read_lines

KEYS, TEXTS = ("id", "path", "audio", "file"), ("text", "transcript", "sentence")


def characters(text: str) -> str:
    """The text in capitals, digits, apostrophes and single spaces."""
    plain = unicodedata.normalize("NFKD", text).replace("’", "'").upper()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join("".join(c if c.isalnum() or c == "'" else " " for c in plain).split())


def read_transcripts(path: Path) -> dict[str, str]:
    """Texts by id, or by path without suffix, spelled as `characters` does.

    JSON lines with a key such as "id" or "path" and one such as "text"; or a table of two columns,
    with commas (.csv) or tabs, whose first line may name them.

    Raises:
        InputError: naming a line that is neither.
    """
    read = _json_lines if path.suffix in (".jsonl", ".json") else _table
    return {key_of(key, 3): characters(text) for key, text in read(path)}


def _json_lines(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in read_lines(path):
        try:
            row = json.loads(line)
            yield _first(row, KEYS), _first(row, TEXTS)
        except (ValueError, KeyError, AttributeError) as error:
            raise InputError(
                f"{path}, line {number}: expected an object with one of {', '.join(KEYS)} "
                f"and one of {', '.join(TEXTS)} ({error})"
            ) from error


def _first(row: Mapping[str, Any], names: Iterable[str]) -> str:
    for name in names:
        if row.get(name) is not None:
            return str(row[name])
    raise KeyError(f"none of {', '.join(names)}")


def _table(path: Path) -> Iterator[tuple[str, str]]:
    delimiter = "," if path.suffix == ".csv" else "\t"
    rows = csv.reader(StringIO(read_text(path)), delimiter=delimiter)
    for number, row in enumerate(rows, start=1):
        if not row or (number == 1 and row[0].lower() in KEYS):
            continue
        if len(row) != 2:
            raise InputError(f"{path}, line {number}: {len(row)} columns; expected path, text")
        yield row[0], row[1]


def transcribed(utterances: Iterable[Utterance], model: str, folder: Path) -> Iterator[Utterance]:
    """Utterances with the transcripts of a recogniser.

    Each text is kept in `folder`, by the name and the weights of the model, so that an interrupted
    run continues. An utterance that cannot be decoded has an empty text.
    """
    # Importing transformers takes long, and is needed here only.
    from transformers import pipeline

    recognise = pipeline("automatic-speech-recognition", model=model)
    model_key = hashlib.sha256(f"{model}{_weights_of(Path(model))}".encode()).hexdigest()[:16]
    memory = folder / f"{model_key}.jsonl"
    known = read_known(memory)
    # Ids made of file names may hold bytes that are not UTF-8; as escapes they are still JSON.
    escaped = "backslashreplace"
    with atomic_write(memory) as partial:
        rows = "".join(_row(*pair) for pair in known.items())
        partial.write_text(rows, encoding="utf-8", errors=escaped)
    with memory.open("a", encoding="utf-8", errors=escaped) as file:
        for utterance in Bar(utterances, desc=f"transcribing with {model}", unit="utt", delay=2):
            text = known.get(utterance.id)
            # What cannot be decoded may have been replaced by the next run.
            if text is None and (text := _transcribe(recognise, utterance)) is not None:
                file.write(_row(utterance.id, text))
                file.flush()
                known[utterance.id] = text
            yield replace(utterance, text=text or "")


def read_known(memory: Path) -> dict[str, str]:
    """Texts of an earlier run, without a last line that was cut short."""
    if not memory.exists():
        return {}
    lines = memory.read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return {row["id"]: row["text"] for row in rows}


def _row(identity: str, text: str) -> str:
    return json.dumps({"id": identity, "text": text}, ensure_ascii=False) + "\n"


def _transcribe(recognise: Any, utterance: Utterance) -> str | None:
    """The text of an utterance; None where its recording cannot be decoded."""
    try:
        wave = load_audio(utterance.audio)
    except AudioError:
        return None
    long = len(wave) > 30 * SAMPLE_RATE and recognise.type == "seq2seq_whisper"
    # Whisper transcribes 30 s at a time, and continues from the last timestamp.
    options = {"return_timestamps": True} if long else {}
    return characters(recognise({"raw": wave, "sampling_rate": SAMPLE_RATE}, **options)["text"])


def _weights_of(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of a local model's weights; empty for a name on the Hub."""
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    return [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files]
