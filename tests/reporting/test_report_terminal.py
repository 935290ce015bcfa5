"""On a terminal whose encoding lacks ∇, τ or α, commands print "?" instead."""

import io
import json
from dataclasses import replace

import pytest

from asr_unlearn.cli.commands import NAMES
from asr_unlearn.cli.main import main
from asr_unlearn.data.manifest import read_manifest, write_manifest
from data_prep import check


@pytest.fixture
def printed(monkeypatch):
    """Run a command as a program on such a terminal; returns status, stdout, stderr."""

    def run(*argv, program=main):
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="cp1252") for _ in range(2))
        with monkeypatch.context() as patch:
            patch.setattr("sys.argv", ["asr-unlearn", *map(str, argv)])
            patch.setattr("sys.stdout", out)
            patch.setattr("sys.stderr", err)
            try:
                status = program() or 0
            except SystemExit as ended:
                status = ended.code
            out.flush()
            err.flush()
        return status, *(stream.buffer.getvalue().decode("cp1252") for stream in (out, err))

    return run


def test_every_command_prints_what_the_terminal_can(corpus, tiny_config, tmp_path, printed):
    folder = tmp_path / "ατ∇"
    manifest, split = folder / "manifest.jsonl", folder / "split.json"
    utterances = read_manifest(corpus / "manifest.jsonl")
    write_manifest(manifest, [replace(u, speaker=f"∇{u.speaker}") for u in utterances])
    request = folder / "forget.txt"
    request.write_text("∇s0\n∇s1\n", encoding="utf-8")
    data = ["--manifest", manifest, "--split", split]
    original, made = folder / "original", folder / "ga"
    forgetting = ["--model", original, "--method", "gradient_ascent", "--stop.rule", "steps"]
    epochs = ["--method.epochs", "1"]
    commands = [
        ["split", "--manifest", manifest, "--out", split, "--forget", request],
        ["train", *data, "--model", tiny_config, "--out", original, "--finetune.epochs", "1"],
        ["unlearn", *data, *forgetting, "--out", made, *epochs],
        ["tune", *data, *forgetting, "--out", folder / "tune.journal", *epochs, "--trials", 1],
        ["evaluate", *data, "--models", "original,ga", "--out", folder / "results.json"],
        ["report", "--results", folder / "results.json"],
        ["verify", "--model", made],
        ["methods"],
        ["purge", folder],
    ]
    assert {command[0] for command in commands} == set(NAMES)
    report = ""
    for command in commands:
        if command[0] == "purge":
            report = (folder / "report.md").read_text(encoding="utf-8")
        status, out, err = printed(*command)
        assert status == 0, err
        assert out
        if command[0] not in ("verify", "tune"):
            assert "?" in out, command
    assert json.loads((folder / "results.json").read_text(encoding="utf-8"))["corpus"] == "ατ∇"
    assert "ατ∇" in report


def test_errors_and_other_programs_do_as_well(tmp_path, printed):
    nowhere = tmp_path / "∇.jsonl"
    argv = ("split", "--manifest", nowhere, "--out", tmp_path / "s.json", "--draw", "1")
    status, _, err = printed(*argv)
    assert status == 1
    assert err == f"asr-unlearn: {tmp_path}/?.jsonl: No such file or directory; check the path\n"
    status, _, err = printed(nowhere, "--out", tmp_path / "o.jsonl", program=check.main)
    assert status == 2
    assert f"{tmp_path}/?.jsonl: No such file" in err
