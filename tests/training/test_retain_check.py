"""A model that unlearning has ruined is published with a warning."""

import json
import math

import pytest
import torch

from asr_unlearn.cli.main import main
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.models.inference import MeanScore
from asr_unlearn.models.loading import model_from_config, save_model
from asr_unlearn.models.tasks import CTC
from asr_unlearn.training import unlearn as unlearn_module
from asr_unlearn.training.outcome import DivergedError
from asr_unlearn.training.retain_check import RetainCheck, check_model_finite, sample


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (MeanScore(0.05, 0.02), MeanScore(0.06, 0.02), None),
        (MeanScore(0.05, 0.02), MeanScore(1.5, 0.6), None),
        (
            MeanScore(0.05, 0.02),
            MeanScore(2.9, 0.97),
            "the error rate is 97%, 2% before",
        ),
        (
            MeanScore(0.05, 0.02),
            MeanScore(80.0, 0.9),
            "the loss is 80, 0.05 before, and that of a uniform guess among 32 outputs is 3.47",
        ),
        # Which recognised nothing before either.
        (MeanScore(3.0, 1.0), MeanScore(3.5, 1.0), None),
    ],
)
def test_ruined_is_worse_than_a_guess(before, after, why):
    said = RetainCheck(before, after, utterances=50, outputs=32).warning
    if why is None:
        assert said is None
    else:
        assert said.startswith(f"the model is ruined: on 50 utterances of the retain set {why}; ")
        assert "unlearn with a lower lr" in said


@pytest.mark.parametrize(
    ("before", "after", "unseen", "said"),
    [
        # AN4, by NPO and by OrthoGrad with targets.
        (0.0285, 0.337, 0.369, True),
        (0.0285, 0.0291, 0.369, False),
        # Just below and above a quarter of the way.
        (0.1, 0.324, 1.0, False),
        (0.1, 0.326, 1.0, True),
        # A model that recognises unseen speakers nearly as well.
        (0.6, 0.9, 1.0, False),
        (0.1, 0.9, None, False),
    ],
)
def test_retain_speakers_whose_loss_nears_that_of_unseen_ones(before, after, unseen, said):
    check = RetainCheck(MeanScore(before, 0.0), MeanScore(after, 0.1), 16, 32, unseen)
    assert (check.warning is not None) == said
    if said:
        assert check.warning.startswith("others were forgotten too: on 16 utterances")
        assert f"and {unseen:.3g} on unseen speakers" in check.warning


@pytest.mark.parametrize(("count", "chosen"), [(0, 0), (1, 1), (50, 50), (51, 26), (1000, 50)])
def test_the_sample_is_of_50_at_most(count, chosen):
    assert len(sample(list(range(count)), 50)) == chosen


@pytest.fixture
def original(corpus, tiny_config, tmp_path):
    alphabet = alphabet_of(read_manifest(corpus / "manifest.jsonl"))
    model, processor = model_from_config(str(tiny_config), alphabet, 0)
    save_model(model, processor, tmp_path / "original")
    return CTC(model, processor)


def unlearn(corpus, folder, *flags):
    argv = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    argv += ["--model", str(folder / "original"), "--out", str(folder / "ga"), *flags]
    argv += ["--method", "gradient_ascent", "--stop.rule", "steps"]
    main(["unlearn", *argv])
    return json.loads((folder / "ga" / "run.json").read_text())


def test_a_ruined_model_says_so(original, corpus, tmp_path, monkeypatch, capsys):
    before, after = MeanScore(0.05, 0.02), MeanScore(400.0, 1.0)
    monkeypatch.setattr(unlearn_module, "quick_scores", lambda *_: "after")
    monkeypatch.setattr(unlearn_module, "mean_score", lambda s: after if s == "after" else before)
    run = unlearn(corpus, tmp_path, "--method.epochs", "1")
    assert run["warning"].startswith("the model is ruined: on ")
    assert "the error rate is 100%, 2% before" in run["warning"]
    assert run["kept"]["before"] == {"loss": 0.05, "cer": 0.02}
    assert run["kept"]["after"] == {"loss": 400.0, "cer": 1.0}
    assert f"{tmp_path}/ga: WARNING: {run['warning']}" in capsys.readouterr().err
    argv = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    results = tmp_path / "results.json"
    main(["evaluate", *argv, "--models", "original,ga", "--out", str(results)])
    main(["report", "--results", str(results)])
    report = " ".join((tmp_path / "report.md").read_text().split())
    assert f"Warning, ga, seed 0: {run['warning']}." in report.replace("\\", "")


def test_a_model_that_is_as_good_as_before_says_nothing(original, corpus, tmp_path):
    run = unlearn(corpus, tmp_path, "--method.epochs", "1", "--method.lr", "1e-7")
    assert run["warning"] is None
    before, after = run["kept"]["before"], run["kept"]["after"]
    assert math.isclose(before["loss"], after["loss"], rel_tol=0.01)
    assert run["kept"]["utterances"] == len(
        json.loads((corpus / "split.json").read_text())["parts"]["retain"]
    )


def test_what_is_not_finite_is_an_error(original):
    check_model_finite(original, MeanScore(1.0, 1.0))
    with pytest.raises(DivergedError, match=r"loss on retain utterances is inf; .* lower lr"):
        check_model_finite(original, MeanScore(math.inf, 1.0))
    torch.nn.init.constant_(original.model.lm_head.bias, math.nan)
    with pytest.raises(DivergedError, match=r"1 tensors .*, lm_head\.bias the first"):
        check_model_finite(original, None)
