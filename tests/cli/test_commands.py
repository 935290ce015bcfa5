"""The command line: every command explains itself, and says plainly what it cannot do."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from asr_unlearn import __version__
from asr_unlearn.cli import commands
from asr_unlearn.cli.commands import methods as methods_command
from asr_unlearn.cli.main import main, understood
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.data.make_split import make_split
from asr_unlearn.data.manifest import read_manifest, write_manifest
from asr_unlearn.data.split_file import read_split, write_split
from asr_unlearn.methods import METHODS
from asr_unlearn.methods.registry import make_method
from asr_unlearn.models.loading import model_from_config, save_model
from tests.support.flags import flags


@pytest.mark.parametrize("command", commands.NAMES)
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"example: asr-unlearn {command}" in " ".join(capsys.readouterr().out.split())


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"asr-unlearn {__version__}\n"


def test_the_help_and_a_split_do_not_wait_for_torch(corpus, tmp_path):
    argv = ["split", "--manifest", corpus / "manifest.jsonl", "--draw", "1"]
    code = (
        "import sys\nfrom asr_unlearn.cli.main import main\n"
        "try:\n    main({argv})\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    for words in (["--help"], [*map(str, argv), "--out", str(tmp_path / "split.json")]):
        given = [sys.executable, "-c", code.format(argv=words)]
        done = subprocess.run(given, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"
    assert (tmp_path / "split.json").is_file()


def test_the_help_has_every_command_with_its_summary(capsys):
    modules = Path(commands.__file__).parent.glob("[a-z]*.py")
    assert set(commands.NAMES) == {path.stem for path in modules}
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for name in commands.NAMES:
        assert f"{name} {commands.summary(name)}" in shown


def test_methods_lists_every_option(capsys):
    main(["methods"])
    shown = capsys.readouterr().out
    assert all(f"{name}  {METHODS[name].paper}" in shown for name in METHODS)
    words = " ".join(shown.split())
    for phrase in ("alpha: float = 0.7", "scope: 'global' | 'tensor' = global", "+ unseen"):
        assert phrase in words


def test_from_corpus_to_report(corpus, tiny_config, tmp_path, capsys):
    out = tmp_path / "out"
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(out / "split.json")]
    (tmp_path / "forget.txt").write_text("s1\ns0\n")
    main(["split", *data[:2], "--out", data[3], "--forget", str(tmp_path / "forget.txt")])
    for name, parts in (("original", "retain,forget"), ("retrained", "retain")):
        argv = ["train", *data, "--model", str(tiny_config), "--parts", parts]
        main([*argv, "--out", str(out / name), "--finetune.epochs", "1", "--filterbank", "true"])
    for method in ("orthograd", "gradient_ascent"):
        argv = ["unlearn", *data, "--model", str(out / "original"), "--method", method]
        main(
            [
                *argv,
                "--out",
                str(out / method),
                *flags("method", epochs=1, lr=1e-4),
                "--stop.rule",
                "steps",
            ]
        )
    results = out / "results.json"
    models = "original,retrained,orthograd,gradient_ascent"
    spaced = models.replace(",", ", ")
    main(["evaluate", *data, "--models", spaced, "--out", str(results), "--corpus", "hums"])
    main(["report", "--results", str(results)])
    content = json.loads(results.read_text())
    assert [m["name"] for m in content["models"]] == models.split(",")
    orthograd = content["models"][2]
    assert orthograd["options"]["lr"] == 1e-4
    assert orthograd["cost"]["relative_to_retraining"] > 0
    assert orthograd["stopped"]
    shown = capsys.readouterr().out
    assert f"wrote {results}; next: asr-unlearn report --results {results}" in shown
    assert "report.html" in shown
    record = json.loads((out / "orthograd" / "run.json").read_text())
    assert record["command"].startswith("asr-unlearn unlearn --manifest")
    assert not list(out.glob("*.partial"))
    assert {p.name for p in (out / "orthograd").glob("*.safetensors")} == {"model.safetensors"}
    modes = [(out / "orthograd" / n).stat().st_mode for n in ("model.safetensors", "config.json")]
    assert modes[0] == modes[1]


def test_models_that_are_not_there_are_named(corpus, tmp_path):
    (tmp_path / "original").mkdir()
    (tmp_path / "original" / "config.json").write_text("{}")
    argv = [
        "evaluate",
        "--manifest",
        str(corpus / "manifest.jsonl"),
        "--models",
        "original,orignal",
    ]
    argv += ["--split", str(corpus / "split.json"), "--out", str(tmp_path / "results.json")]
    with pytest.raises(
        ValueError, match=r"--models orignal: no such folder .* there are original$"
    ):
        main(argv)


def test_a_model_that_was_trained_before_keeps_its_front_end(corpus, tiny_config, tmp_path):
    """Its features are made once for all runs, and gradients are those of them."""
    argv = ["train", "--manifest", str(corpus / "manifest.jsonl")]
    argv += ["--split", str(corpus / "split.json"), "--finetune.epochs", "1"]
    before = {path: path.stat().st_mtime_ns for path in corpus.rglob("*")}
    main([*argv, "--model", str(tiny_config), "--out", str(tmp_path / "first")])
    assert not (tmp_path / ".cache" / "features").exists()
    main([*argv, "--model", str(tmp_path / "first"), "--out", str(tmp_path / "second")])
    assert list((tmp_path / ".cache" / "features").rglob("*.features"))
    assert {path: path.stat().st_mtime_ns for path in corpus.rglob("*")} == before
    before, after = (load_file(tmp_path / n / "model.safetensors") for n in ("first", "second"))
    front_end = {name for name in before if "feature_extractor" in name}
    assert front_end
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor) == (name in front_end), name


def test_a_good_model_is_never_overwritten(corpus, tiny_config, tmp_path):
    argv = ["train", "--manifest", str(corpus / "manifest.jsonl")]
    argv += ["--split", str(corpus / "split.json"), "--model", str(tiny_config)]
    argv += ["--out", str(tmp_path / "m")]
    main([*argv, "--finetune.epochs", "1"])
    before = (tmp_path / "m" / "model.safetensors").read_bytes()
    main([*argv, "--finetune.epochs", "2"])
    assert (tmp_path / "m.old-1" / "model.safetensors").read_bytes() == before
    assert (tmp_path / "m" / "model.safetensors").read_bytes() != before


def test_a_killed_run_is_not_taken_up_for_another_model(corpus, tiny_config, tmp_path, monkeypatch):
    """The checkpoints that a kill leaves are of no use once their original has been replaced."""
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]

    def train(seed):
        argv = ["train", *data, "--model", str(tiny_config), "--out", str(tmp_path / "original")]
        main([*argv, "--finetune.epochs", "1", "--seed", str(seed)])

    def forget(name):
        argv = ["unlearn", *data, "--model", str(tmp_path / "original"), "--stop.rule", "steps"]
        argv += [
            "--method",
            "gradient_ascent",
            "--method.epochs",
            "1",
            "--out",
            str(tmp_path / name),
        ]
        main(argv)
        return (tmp_path / name / "model.safetensors").read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    train(seed=0)
    with monkeypatch.context() as patch:
        patch.setattr("asr_unlearn.training.run_folder.save_model", killed)
        with pytest.raises(KeyboardInterrupt):
            forget("forgotten")
    assert list(tmp_path.glob("forgotten.*.partial/checkpoint-*"))
    train(seed=1)
    assert forget("forgotten") == forget("fresh")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("E", "s7-0: the vocabulary lacks 'E' of 'E'"),
        ("AB " * 60, "s7-0: .* of audio have no room for the 179 labels"),
    ],
)
def test_what_cannot_be_evaluated_is_named_before_any_training(
    text, message, corpus, tiny_config, tmp_path
):
    utterances = read_manifest(corpus / "manifest.jsonl")
    save_model(*model_from_config(str(tiny_config), alphabet_of(utterances), 0), tmp_path / "m")
    assert "s7-0" in read_split(corpus / "split.json", corpus / "manifest.jsonl").parts["test"]
    odd = [replace(u, text=text) if u.id == "s7-0" else u for u in utterances]
    manifest, split = tmp_path / "manifest.jsonl", tmp_path / "split.json"
    write_manifest(manifest, odd)
    write_split(split, make_split(odd, ["s0", "s1"], unseen=0.2), manifest)
    argv = ["--manifest", str(manifest), "--split", str(split), "--model", str(tmp_path / "m")]
    for command in ("train", "unlearn"):
        with pytest.raises(ValueError, match=message):
            main([command, *argv, "--out", str(tmp_path / "out")])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("orthogard", {}, r"'orthogard' \(did you mean 'orthograd', .*\?\); there are att"),
        ("OrthoGrad", {}, r"unknown method 'OrthoGrad' \(did you mean 'orthograd', "),
        ("orthograd", {"alhpa": "1"}, r"no option 'alhpa' \(did you mean 'alpha'.*\?\); it has lr"),
        ("orthograd_tau", {"lr": 1e-3}, "orthograd_tau: lr: expected 'auto', got 0.001"),
        ("orthograd", {"alpha": "much"}, "orthograd: alpha: expected float, got much"),
        ("orthograd", {"scope": "galaxy"}, "scope: expected one of 'global', 'tensor', got galaxy"),
        ("orthograd", {"retain_batch": 2.5}, "retain_batch: expected int, got 2.5"),
        ("orthograd", {"alpha": "1.2"}, "orthograd: alpha must be from 0 to 1, not 1.2"),
        ("neggrad_plus", {"alpha": "-0.1"}, "alpha must be from 0 to 1, not -0.1"),
        ("orthograd", {"alpha": float("nan")}, "alpha must be from 0 to 1, not nan"),
        ("bad_teacher", {"temperature": 0.0}, "temperature must be above 0, not 0.0"),
        ("salun", {"share": 2.0}, "share must be from 0 to 1, not 2.0"),
        ("finetune", {"warmup": 3.0}, "warmup must be from 0 to 1, not 3.0"),
        ("finetune", {"epochs": float("inf")}, "finetune: epochs must be finite, not inf"),
        ("l1_sparse", {"lam": float("inf")}, "l1_sparse: lam must be finite, not inf"),
    ],
)
def test_wrong_options_are_explained(name, options, message):
    with pytest.raises(ValueError, match=message):
        make_method(name, options)


def ends(monkeypatch, capsys, argv):
    """The command's exit status and what it prints to stderr, called as a program."""
    monkeypatch.setattr("sys.argv", ["asr-unlearn", *argv])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


def test_a_failing_command_ends_with_its_reason(corpus, tmp_path, monkeypatch, capsys):
    argv = ["split", "--manifest", str(corpus / "manifest.jsonl")]
    argv += ["--out", str(tmp_path / "split.json"), "--draw", "99"]
    status, said = ends(monkeypatch, capsys, argv)
    assert status == 1
    assert said.startswith("asr-unlearn: cannot forget 99 of 7")
    assert said.count("\n") == 1


@pytest.mark.parametrize("place", [0, 1, -1])
def test_debug_anywhere_on_the_line_prints_the_traceback(place, monkeypatch, capsys):
    argv = ["split", "--manifest", "nowhere.jsonl", "--draw", "1", "--out", "split.json"]
    argv.insert(len(argv) if place == -1 else place, "--debug")
    status, said = ends(monkeypatch, capsys, argv)
    assert status == 1
    assert said.startswith("Traceback (most recent call last):")
    assert "No such file or directory: 'nowhere.jsonl'" in said


def test_an_error_that_nobody_expected_is_one_line_as_well(monkeypatch, capsys):
    def surprised():
        raise TypeError("'NoneType' object\n  cannot be interpreted")

    changed = replace(methods_command.COMMAND, function=surprised)
    monkeypatch.setattr(methods_command, "COMMAND", changed)
    assert ends(monkeypatch, capsys, ["methods"]) == (
        1,
        "asr-unlearn: TypeError: 'NoneType' object cannot be interpreted; "
        "give --debug for the traceback\n",
    )
    status, said = ends(monkeypatch, capsys, ["methods", "--debug"])
    assert status == 1
    assert "in surprised" in said


def test_called_from_python_it_raises(monkeypatch):
    def surprised():
        raise TypeError("what")

    changed = replace(methods_command.COMMAND, function=surprised)
    monkeypatch.setattr(methods_command, "COMMAND", changed)
    with pytest.raises(TypeError, match="what"):
        main(["methods", "--debug"])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("split --manifest {0}/manifest.jsonl --out {1}", "--out {1} is a folder; give a file"),
        ("split --manifest {0}/manifest.jsonl --out {1}/file/split.json", "{1}/file is a file"),
        ("report --results {1}", "{1}: Is a directory; give a file"),
        (
            "tune --manifest {0}/manifest.jsonl --split {0}/split.json --model {1}/m --out {1}",
            "{1}",
        ),
    ],
)
def test_what_the_system_refuses_is_said(
    argv, message, corpus, tiny_config, tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").touch()
    alphabet = alphabet_of(read_manifest(corpus / "manifest.jsonl"))
    save_model(*model_from_config(str(tiny_config), alphabet, 0), tmp_path / "m")
    status, said = ends(monkeypatch, capsys, argv.format(corpus, tmp_path).split())
    assert status == 1
    assert re.match(f"asr-unlearn: .*{message.format(corpus, tmp_path)}", said)


def test_flags_may_have_hyphens(corpus, tmp_path):
    argv = ["split", "--manifest", str(corpus / "manifest.jsonl"), "--forget-labels=A"]
    with pytest.raises(ValueError, match="unknown label 'A'"):
        main([*argv, "--out", str(tmp_path / "split.json")])


UNLEARN = ["unlearn", "--manifest", "a", "--split", "b", "--model", "c", "--out", "d"]


def test_methods_are_made_from_their_flags(tmp_path):
    own = tmp_path / "mine.py"
    own.write_text(
        "from dataclasses import dataclass\n"
        "from asr_unlearn.methods.gradient_ascent import GradientAscent\n\n"
        "@dataclass(kw_only=True)\n"
        "class Mine(GradientAscent):\n"
        "    strength: float = 1.0\n"
    )
    config, flags = tmp_path / "method.yaml", tmp_path / "flags.yaml"
    config.write_text("class_path: orthograd\ninit_args: {alpha: 0.25}\n")
    flags.write_text("method: {class_path: orthograd, init_args: {alpha: 0.25}}\nseed: 3\n")

    def method(*argv):
        return understood([*UNLEARN, *argv])[1]["method"]

    assert method() == make_method("orthograd_tau", {})
    assert method("--method.power", "0.2") == make_method("orthograd_tau", {"power": 0.2})
    # Nothing of the default method's options goes over to another.
    assert method("--method", "orthograd") == make_method("orthograd", {})
    assert method("--method=orthograd", "--method.alpha=0.3") == make_method(
        "orthograd", {"alpha": 0.3}
    )
    assert method("--method", f"{own}:Mine", "--method.strength", "2").strength == 2
    quarter = make_method("orthograd", {"alpha": 0.25})
    assert method("--method", str(config)) == method("--config", str(flags)) == quarter
    assert method("--config", str(flags), "--method.alpha", "0.3").alpha == 0.3
    assert method("--config", str(flags), "--method", "neggrad_plus").lr == 2e-4
    flags.write_text("method: orthograd\n")
    assert method("--config", str(flags)) == make_method("orthograd", {})
    flags.write_text("seed: 3\n")
    assert method("--config", str(flags)) == make_method("orthograd_tau", {})


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--method.powre", "0.5"], r"orthograd_tau has no option 'powre' \(did you mean 'power'"),
        (["--method", "orthograd", "--method.target", "1"], "orthograd has no option 'target'"),
        (["--method", "orthogard"], r"unknown method 'orthogard' \(did you mean 'orthograd'"),
        (["--method.power", "2"], "orthograd_tau: power must be from 0 to below 1, not 2.0"),
        (["--config", "none.yaml"], "none.yaml"),
    ],
)
def test_wrong_flags_of_methods_are_explained(argv, message):
    with pytest.raises((ValueError, OSError), match=message):
        understood([*UNLEARN, *argv])


@pytest.mark.parametrize(
    "argv", [["--method", "scrub", "--method.help"], ["--method.help", "scrub"]]
)
def test_a_method_has_its_own_help(argv, capsys):
    with pytest.raises(SystemExit, match="0"):
        understood(["unlearn", *argv])
    shown = capsys.readouterr().out
    assert "--method.max_epochs" in shown
    assert "arXiv 2302.09880" in shown


def test_all_flags_may_stand_in_a_file(corpus, tmp_path):
    config = tmp_path / "split.yaml"
    config.write_text(f"manifest: {corpus}/manifest.jsonl\nout: {tmp_path}/s.json\ndraw: 3\n")
    main(["split", "--config", str(config)])
    assert len(read_split(tmp_path / "s.json", corpus / "manifest.jsonl").forget_speakers) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--stop.every", "0"], "stop.every must be 1 or more, not 0"),
        (["--stop.tolerance", "1"], "stop.tolerance must be from 0 to below 1, not 1.0"),
    ],
)
def test_a_stop_rule_out_of_range_is_said(given, message, monkeypatch, capsys):
    argv = ["unlearn", "--manifest", "a", "--split", "b", "--model", "c", "--out", "d", *given]
    assert ends(monkeypatch, capsys, argv) == (1, f"asr-unlearn: {message}\n")


def test_an_interruption_is_no_error_of_the_program(monkeypatch, capsys):
    def interrupt():
        raise KeyboardInterrupt

    changed = replace(methods_command.COMMAND, function=interrupt)
    monkeypatch.setattr(methods_command, "COMMAND", changed)
    assert ends(monkeypatch, capsys, ["methods"]) == (
        130,
        "\nasr-unlearn: interrupted; the same command goes on\n",
    )


def test_a_gpu_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="--device cuda: torch finds no GPU"):
        main(["verify", "--model", "m", "--device", "cuda"])
