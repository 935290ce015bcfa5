"""`asr-unlearn prepare` runs the programs of data_prep."""

import sys

import pytest

from asr_unlearn.cli.main import main
from asr_unlearn.cli.prepare import prepare, programs
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.runtime.errors import InputError
from tests.support.recordings import record

CORPORA = {"an4", "librispeech", "speechcommands", "voxceleb1", "synthetic"}
FORMATS = {"hub", "kaldi", "lhotse", "table"}
OF_MANIFESTS = {"check", "planted_noise"}


def ended(monkeypatch, *arguments):
    """The exit status of the program."""
    monkeypatch.setattr(sys, "argv", ["asr-unlearn", "prepare", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    return 0


def test_every_corpus_and_format_is_listed_with_a_sentence(monkeypatch, capsys):
    assert programs().keys() == CORPORA | FORMATS | OF_MANIFESTS
    assert all(about.endswith(".") for about in programs().values())
    assert ended(monkeypatch) == 0
    said = capsys.readouterr().out
    assert all(f"  {name} " in said and about in said for name, about in programs().items())


def test_a_table_becomes_a_manifest(monkeypatch, tmp_path):
    record(tmp_path / "a.wav")
    (tmp_path / "t.csv").write_text("audio,speaker,text\na.wav,anna,hello\n")
    out = tmp_path / "out" / "m.jsonl"
    assert ended(monkeypatch, "table", "--data", tmp_path / "t.csv", "--out", out) == 0
    assert [u.speaker for u in read_manifest(out)] == ["anna"]


def test_errors_are_one_line_and_a_status(monkeypatch, capsys, tmp_path):
    assert ended(monkeypatch, "kaldy") == 1
    said = capsys.readouterr().err
    assert "no corpus or format 'kaldy' (did you mean 'kaldi'?); there are an4, " in said
    assert said.count("\n") == 1
    out = tmp_path / "m.jsonl"
    assert ended(monkeypatch, "kaldi", "--data", tmp_path, "--out", out) == 2
    assert "is no data folder of Kaldi: it has no wav.scp" in capsys.readouterr().err
    with pytest.raises(InputError, match="no corpus or format"):
        prepare(["nothing"])
