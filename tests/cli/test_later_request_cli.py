"""Two deletion requests, one after the other, from the command line."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from asr_unlearn.cli.main import main
from asr_unlearn.runtime.errors import InputError
from tests.support.evaluated import evaluate_three


@pytest.fixture(scope="module")
def finished(corpus, tiny_config, tmp_path_factory):
    """Models of a first request, evaluated, and the split and the model of a second."""
    out = tmp_path_factory.mktemp("requests")
    shutil.copytree(corpus, out, dirs_exist_ok=True)
    evaluate_three(out, tiny_config, out)
    first = json.loads((out / "split.json").read_text())
    name = first["parts"]["retain"][0].partition("-")[0]
    (out / "second.txt").write_text(f"{name}\n")
    main(["split", "--manifest", str(out / "manifest.jsonl"), "--after", str(out / "split.json"),
          "--forget", str(out / "second.txt"), "--out", str(out / "split2.json"),
          "--heldout", "0.25"])  # fmt: skip
    unlearned(out, "both")
    main(["train", *of(out), "--model", str(tiny_config), "--parts", "retain",
          "--finetune.epochs", "1", "--out", str(out / "retrained2")])  # fmt: skip
    main(["evaluate", *of(out), "--models", "original,retrained2,forgotten,both",
          "--retrained", "retrained2", "--out", str(out / "results2.json")])  # fmt: skip
    return out


def of(out):
    return ["--manifest", str(out / "manifest.jsonl"), "--split", str(out / "split2.json")]


def unlearned(out, name, *flags):
    main(["unlearn", *of(out), "--model", str(out / "forgotten"), "--method", "gradient_ascent",
          "--method.epochs", "2", "--stop.rule", "steps", "--out", str(out / name),
          *flags])  # fmt: skip


def test_a_folder_among_the_models_that_has_a_role_is_one_model(finished):
    models = json.loads((finished / "results2.json").read_text())["models"]
    assert {(m["name"], m["path"]) for m in models} == {
        *((name, name) for name in ("original", "forgotten", "both")),
        ("retrained", "retrained2"),
    }


@pytest.mark.parametrize(
    ("model", "why"),
    [("original", "was trained before the earlier requests"), ("retrained2", "retain alone")],
)
def test_a_model_that_is_not_the_one_to_unlearn_is_refused(model, why, finished):
    with pytest.raises(InputError, match=f"{model}: it .*{why}"):
        main(["unlearn", *of(finished), "--model", str(finished / model), "--out",
              str(finished / "wrong")])  # fmt: skip


def change(out, after, before):
    weights = [load_file(out / name / "model.safetensors") for name in (after, before)]
    return torch.cat([(weights[0][n] - weights[1][n]).flatten().double() for n in weights[0]])


def test_the_second_change_is_orthogonal_to_the_first(finished):
    first, second = change(finished, "forgotten", "original"), change(finished, "both", "forgotten")
    assert second.norm() > 0
    assert abs(torch.cosine_similarity(first, second, dim=0)) < 1e-3
    unlearned(finished, "unprotected", "--protect_earlier", "false")
    free = change(finished, "unprotected", "forgotten")
    assert abs(torch.cosine_similarity(first, free, dim=0)) > 1e-2


def test_the_speakers_of_the_first_request_are_measured_after_the_second(finished):
    results = json.loads((finished / "results2.json").read_text())
    first = json.loads((finished / "split.json").read_text())
    parts = results["split"]["parts"]
    assert parts["forgotten"]["utterances"] == len(first["parts"]["forget"])
    for model in results["models"]:
        assert {"forget", "forgotten", "retain"} <= model["loss"].keys()
        assert "forgotten" in model["wer"]
    main(["report", "--results", str(finished / "results2.json")])
    report = (finished / "results2-report.md").read_text()
    assert "WER earlier" in report
    assert "speakers of earlier requests" in report


def test_the_records_are_a_chain(finished, tmp_path, capsys):
    main(["verify", "--model", str(finished / "both")])
    said = capsys.readouterr().out
    assert f"earlier request, {finished / 'forgotten'}:" in said
    assert "CHANGED" not in said
    # The model of the first request is exchanged, with a record of its own.
    shutil.copytree(finished, tmp_path / "moved")
    weights = tmp_path / "moved" / "forgotten" / "model.safetensors"
    weights.write_bytes((tmp_path / "moved" / "retrained" / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"weights_before.*earlier weights_after"):
        main(["verify", "--model", str(tmp_path / "moved" / "both")])


def test_without_the_first_original_it_is_said_what_is_not_protected(finished, tmp_path, caplog):
    shutil.copytree(finished, tmp_path / "moved")
    shutil.rmtree(tmp_path / "moved" / "original")
    unlearned(tmp_path / "moved", "later")
    assert "is gone, so that what was forgotten then is not protected" in caplog.text
    assert (tmp_path / "moved" / "later" / "model.safetensors").is_file()


def test_another_original_is_refused(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "moved")
    shutil.rmtree(tmp_path / "moved" / "original")
    shutil.copytree(finished / "retrained", tmp_path / "moved" / "original")
    with pytest.raises(InputError, match="is not the model that"):
        unlearned(tmp_path / "moved", "later")


def test_labels_and_draws_do_not_come_after(finished):
    given = ["split", "--manifest", str(finished / "manifest.jsonl"), "--after",
             str(finished / "split.json"), "--out", str(finished / "never.json")]  # fmt: skip
    with pytest.raises(InputError, match="give --forget FILE"):
        main([*given, "--draw", "1"])
    named = ["--forget", str(finished / "second.txt")]
    for flag, value in (("--seed", "3"), ("--unseen", "0.5"), ("--test", "0.2")):
        with pytest.raises(InputError, match=f"{flag} {value}: with --after it is that of the"):
            main([*given, *named, flag, value])
    assert not (finished / "never.json").exists()
