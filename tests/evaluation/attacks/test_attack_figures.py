"""Every attack has its figures, is made once, and is refused where it cannot be made."""

import json
import shutil
from dataclasses import replace

import pytest

from asr_unlearn.cli.main import main
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.evaluation.attacks.budget import AttackBudget
from asr_unlearn.evaluation.attacks.informed import Unlearning
from asr_unlearn.evaluation.attacks.membership import Attackers
from asr_unlearn.evaluation.attacks.shadows import Shadow
from asr_unlearn.evaluation.attacks.unlearned_shadows import UnlearnedShadow
from asr_unlearn.evaluation.measures.quantisation import Quantisation
from asr_unlearn.evaluation.measures.relearning import Relearning
from asr_unlearn.metrics.rounding import PRECISIONS
from asr_unlearn.models.inference import MeanScore
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.runner import Runner
from tests.support.attacked_models import CPU, evaluate, of, run_of


def test_figures_of_every_attack(evaluated):
    for name, entry in evaluated.items():
        found, intervals = entry["membership"], entry["ci95"]["membership"]
        attacks = ["loss", "neighbours", "classifier", "lira", "rmia"]
        attacks += ["informed", "ulira"] * (name == "forgotten")
        names = {f"{attack}_auc" for attack in attacks}
        assert names | {"length_auc"} == {k for k in found if k.endswith("_auc")}
        # Two speakers in a group are too few.
        assert not intervals
        speakers = {f"{attack}_{figure}" for attack in attacks for figure in ("auc", "p")}
        assert set(entry["speaker_membership"]) == speakers | {"members", "others"}
        assert [entry["speaker_membership"][group] for group in ("members", "others")] == [2, 2]
        assert found["shadow_models"] == 2
        assert found.get("informed_models") == (2 if name == "forgotten" else None)
        own = {"models", "memorised_utterances", "memorised_auc"}
        own |= {"retrained_auc", "memorised_retrained_auc"}
        assert set(entry.get("unlearned_shadows", ())) == (own if name == "forgotten" else set())
        assert entry["relearning"]["limit"] == 100
        assert {f"{precision}_forget_loss" for precision in PRECISIONS} < set(entry["quantisation"])
    # The original has nothing to learn again.
    assert evaluated["original"]["relearning"]["retain_steps"] == 0


def test_nothing_is_made_twice(data, evaluated, monkeypatch):
    for name in (
        *("attacks.informed.unlearn_model", "attacks.shadows.train_alike"),
        *("measures.relearning.Training", "measures.quantisation.measure_losses"),
    ):
        monkeypatch.setattr(f"asr_unlearn.evaluation.{name}", pytest.fail)
    again = evaluate(data)
    for name, entry in evaluated.items():
        assert again[name]["membership"] == entry["membership"]
        for figure in ("relearning", "quantisation"):
            assert again[name][figure] == entry[figure]


def test_attackers_are_made_anew_where_the_method_was_another(
    data, evaluated, monkeypatch, tmp_path
):
    shutil.copytree(data.cache, tmp_path / "moved")
    folder = tmp_path / "moved"
    moved = Corpus.read(folder / "manifest.jsonl", folder / "split.json", folder)
    run = run_of(moved.cache / "forgotten")
    run["options"]["alpha"] = 0.9
    (moved.cache / "forgotten" / "run.json").write_text(json.dumps(run))
    made = []

    def unlearn_model(corpus, original, method, out, **_):
        made.append(method)
        shutil.copytree(moved.cache / "forgotten", out)

    monkeypatch.setattr("asr_unlearn.evaluation.attacks.informed.unlearn_model", unlearn_model)
    models = [SavedModel("forgotten", 0, moved.cache / "forgotten")]
    attackers = Attackers.of(models, moved, moved.cache, AttackBudget(informed=1), device=CPU)
    attackers.train(moved.cache, Runner("local", 1))
    assert [method.alpha for method in made] == [0.9]


def test_what_is_kept_goes_by_what_is_said_in_the_recordings(data, evaluated):
    """The ids of utterances stay when their transcripts are corrected."""
    said = [replace(u, text=u.text[::-1]) for u in data.manifest]
    original, run = SavedModel.at(data.cache / "original"), run_of(data.cache / "forgotten")
    out = data.cache / "none"

    def kept(corpus):
        made = {"corpus": corpus, "out": out, "device": CPU}
        given = {"original": original.folder, "method": "neggrad_plus", "run": run}
        yield Unlearning(**given, **made).entry.key
        yield Shadow(run=original.run(), number=0, **made).entry.key
        yield UnlearnedShadow(**given, **made).entry.key
        yield Relearning(original, corpus, CPU, MeanScore(1.0, 0.0), 3e-4).entry.key
        yield Quantisation(original, corpus, CPU).entry.key

    before, after = kept(data), kept(replace(data, manifest=said))
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert list(kept(data)) == list(kept(Corpus(list(data.manifest), data.split, data.cache)))


@pytest.mark.parametrize(
    ("models", "flags", "message"),
    [
        ("retrained,forgotten", ["--shadows", "2"], "--shadows: no model is called original"),
        (
            "retrained",
            ["--measures", "relearning"],
            "--measures relearning: no model is called original",
        ),
        ("original,forgotten", ["--shadows", "3"], "--shadows 3: give an even number"),
        (
            "original,forgotten",
            ["--unlearn_shadows", "true"],
            "--unlearn_shadows: there are none; give --shadows",
        ),
        ("original", ["--measures", "extraction"], "extraction gives a decoder the beginning"),
    ],
)
def test_attacks_that_cannot_be_made_are_refused_before_transcribing(
    data, evaluated, models, flags, message, monkeypatch
):
    monkeypatch.setattr(
        "asr_unlearn.evaluation.evaluate.transcribe", lambda *_, **__: pytest.fail("transcribed")
    )
    argv = ["evaluate", *of(data), "--models", models, *flags]
    with pytest.raises(ValueError, match=message):
        main([*argv, "--out", str(data.cache / "none.json")])
