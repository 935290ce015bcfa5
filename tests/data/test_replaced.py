"""A recording that was replaced under the same name is noticed, and no file is read in vain."""

import hashlib
import os
import shutil
from dataclasses import replace

import pytest

from asr_unlearn.cli.main import main
from asr_unlearn.data import replaced
from asr_unlearn.data.make_split import make_split
from asr_unlearn.data.manifest import Utterance, read_manifest, write_manifest
from asr_unlearn.data.replaced import check_recordings
from asr_unlearn.data.split_file import write_split
from asr_unlearn.runtime.errors import InputError


@pytest.fixture
def utterances(tmp_path):
    made = []
    for name in ("a", "b", "c"):
        audio = tmp_path / f"{name}.wav"
        audio.write_bytes(name.encode() * 100)
        sha256 = hashlib.sha256(audio.read_bytes()).hexdigest()
        made.append(Utterance(id=name, audio=audio, speaker="s", seconds=1.0, sha256=sha256))
    return made


@pytest.fixture
def known(tmp_path):
    return tmp_path / "cache" / "recordings.json"


def test_a_replaced_recording_is_named(utterances, known):
    check_recordings(utterances, known)
    utterances[1].audio.write_bytes(b"x" * 100)
    for _ in range(2):
        with pytest.raises(InputError, match=r"b\.wav, the recording of utterance b, was replaced"):
            check_recordings(utterances, known)
    utterances[2].audio.write_bytes(b"x")
    with pytest.raises(InputError, match=r"utterance b \(and 1 others\), was replaced"):
        check_recordings(utterances)
    utterances[2].audio.write_bytes(b"c" * 100)
    utterances[1].audio.write_bytes(b"b" * 100)
    check_recordings(utterances, known)


def test_only_what_was_touched_is_read_again(utterances, known, monkeypatch):
    check_recordings(utterances, known)
    os.utime(utterances[1].audio, ns=(0, 0))
    read = []
    of = replaced.FileState.of
    monkeypatch.setattr(replaced.FileState, "of", lambda path: read.append(path.name) or of(path))
    check_recordings(utterances, known)
    check_recordings(utterances, known)
    assert read == ["b.wav"]


def test_what_cannot_be_compared_is_left_to_others(utterances, known):
    utterances[0].audio.unlink()
    assert check_recordings(utterances, known) == utterances
    assert check_recordings([], known) == []


def test_a_digest_that_the_manifest_lacks_is_measured_and_again_once_replaced(utterances, known):
    """So that nothing that was computed from the recording before is taken for current."""
    lacking = [replace(utterances[0], sha256=None), *utterances[1:]]
    for _ in range(2):
        assert check_recordings(lacking, known) == utterances
    lacking[0].audio.write_bytes(b"xx" * 50)
    now = hashlib.sha256(b"xx" * 50).hexdigest()
    assert check_recordings(lacking, known)[0].sha256 == now


@pytest.mark.parametrize("content", ["", "no JSON", "[]", '{"a": 1}'])
def test_a_damaged_list_of_states_is_no_proof(content, utterances, known):
    check_recordings(utterances, known)
    known.write_text(content)
    utterances[1].audio.write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="was replaced"):
        check_recordings(utterances, known)


@pytest.mark.parametrize("command", ["train", "unlearn", "tune", "evaluate"])
def test_every_command_notices(command, corpus, tmp_path):
    for path in corpus.glob("*.wav"):
        shutil.copy(path, tmp_path)
    made = [
        replace(u, audio=tmp_path / u.audio.name, sha256=replaced.FileState.of(u.audio).sha256)
        for u in read_manifest(corpus / "manifest.jsonl")
    ]
    manifest, split = tmp_path / "manifest.jsonl", tmp_path / "split.json"
    write_manifest(manifest, made)
    write_split(split, make_split(made, ["s0"], seed=0, unseen=0.2), manifest)
    shutil.copy(tmp_path / "s1-0.wav", tmp_path / "s2-3.wav")
    argv = [command, "--manifest", str(manifest), "--split", str(split), "--out"]
    argv += [str(tmp_path / "out"), "--models" if command == "evaluate" else "--model", "m"]
    with pytest.raises(InputError, match=r"s2-3\.wav, the recording of utterance s2-3, was repl"):
        main(argv)
