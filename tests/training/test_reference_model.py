"""A reference model tells how hard the forget speakers and the unseen speakers are."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_unlearn.cli.run_recipe import make_plan, parser
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.make_split import make_split
from asr_unlearn.evaluation.attacks.informed import unlearning_of, unlearnings
from asr_unlearn.evaluation.attacks.shadows import shadows_of
from asr_unlearn.evaluation.attacks.unlearned_shadows import unlearned_shadows
from asr_unlearn.methods import METHODS
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import MeanScore, UtteranceLoss, mean_score, score
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tdnn import TdnnConfig
from asr_unlearn.training.difficulty import (
    REFERENCE_POWER,
    SPEAKERS_POWER,
    difficulty,
    fewer_speakers_factor,
    hardness,
)
from asr_unlearn.training.finetune import train_model
from asr_unlearn.training.setup import Setup
from asr_unlearn.training.stop_rule import Stop
from asr_unlearn.training.stop_target import (
    OriginalScores,
    check_reference_errors,
    forget_difficulty,
    target_interval,
    with_reference_model,
)
from asr_unlearn.training.unlearn import original_task, unlearn_model
from asr_unlearn.training.unlearning_data import UnlearningData
from tests.support.tiny_model import tiny_tdnn_options

CPU = torch.device("cpu")
# A reference model measures the difficulty by itself.
NO_SCORES = OriginalScores([], [], [])


@pytest.fixture(scope="module")
def data(corpus):
    return Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")


@pytest.fixture(scope="module")
def models(data, tiny_config, tmp_path_factory):
    """A folder with an original, and a reference model that was trained on the retain set alone."""
    folder = tmp_path_factory.mktemp("models")
    TdnnConfig(**tiny_tdnn_options(), architectures=["TdnnForCTC"]).save_pretrained(
        folder / "config"
    )
    made = {
        "original": (tiny_config, ["retain", "forget"]),
        "reference_model": ("config", ["retain"]),
    }
    for name, (source, parts) in made.items():
        method = METHODS["finetune"](epochs=1.0)
        given = {"parts": parts, "seed": 0, "device": CPU, "setup": Setup()}
        train_model(data, str(folder / source), method, folder / name, **given)
    return folder


@pytest.fixture
def learned(monkeypatch):
    """Accept the tiny reference model, which has learned nothing in its one epoch."""
    monkeypatch.setattr("asr_unlearn.training.stop_target.TOO_MANY_ERRORS", 10.0)


@pytest.fixture
def distant(monkeypatch):
    """A target loss that the tiny original, which has learned nothing, does not reach at once."""
    monkeypatch.setattr("asr_unlearn.training.difficulty.BOUNDS", (1.5, 9.0))


def parts(data):
    return {part: data.part(part) for part in ("forget", "retain", "unseen")}


def scores(data, part, task):
    return score(task, Inputs(task), data.part(part))


def test_the_difficulty_is_the_ratio_of_its_losses(data, models, learned):
    task = original_task(models / "original", CPU)
    stop = Stop(reference_model=models / "reference_model")
    found = forget_difficulty(Inputs(task), UnlearningData.of(task, parts(data)), stop, NO_SCORES)
    reference_model = SavedModel.at(models / "reference_model").task(CPU)
    # Passes through a smaller model count less.
    share = reference_model.model.num_parameters() / task.model.num_parameters()
    assert share < 0.9
    trained = SavedModel.at(models / "reference_model").run()["costs"]["steps"]
    scored = len(data.part("forget")) + len(data.part("unseen"))
    assert found.cost.forward == round(share * (trained["forward"] + scored))
    assert found.cost.backward == round(share * trained["backward"]) > 0
    unseen = scores(data, "unseen", reference_model)
    forget = scores(data, "forget", reference_model)
    by_hand = [
        np.mean([one.loss for one in group]) ** REFERENCE_POWER for group in (forget, unseen)
    ]
    harder = by_hand[0] / by_hand[1]
    kept = {u.speaker for u in data.part("retain")}
    fewer = ((len(kept) + 2) / len(kept)) ** SPEAKERS_POWER
    assert found.ratio == pytest.approx(harder * fewer)
    assert harder != 1
    assert [one.loss for one in found.reference_losses] == pytest.approx(
        [one.loss for one in unseen]
    )
    assert found.cost.seconds == SavedModel.at(models / "reference_model").run()["seconds"] > 0
    # Then the number of training speakers is unknown.
    alone = forget_difficulty(
        Inputs(task),
        UnlearningData.of(task, parts(data) | {"retain": []}),
        stop,
        NO_SCORES,
    )
    assert alone.ratio == pytest.approx(harder)


def test_the_run_takes_that_target_and_counts_the_training_time(
    data, models, learned, distant, tmp_path
):
    stop = Stop(reference_model=models / "reference_model", on="loss")
    method = METHODS["gradient_ascent"](lr=1e-3, epochs=1.0)
    out = tmp_path / "unlearned"
    outcome = unlearn_model(data, models / "original", method, out, seed=0, device=CPU, stop=stop)
    run = SavedModel.at(out).run()
    task = original_task(models / "original", CPU)
    found = forget_difficulty(Inputs(task), UnlearningData.of(task, parts(data)), stop, NO_SCORES)
    row = json.loads((out / "metrics.jsonl").read_text().splitlines()[0])
    unseen = mean_score(scores(data, "unseen", task))
    assert row["target_loss"] == pytest.approx(found.ratio * unseen.loss, abs=1e-5)
    assert outcome.seconds > SavedModel.at(models / "reference_model").run()["seconds"]
    assert SavedModel.at(out).reference_model() == models / "reference_model"
    assert run["options"]["reference_model"] == run["reference_model"]["path"]
    assert run["reference_model"]["sha256"] == SavedModel.at(models / "reference_model").weights()
    assert Stop(**run["options"]["stop"]) == replace(stop, reference_model=None)


def test_a_reference_model_that_has_not_learned_is_refused(data, models):
    task = original_task(models / "original", CPU)
    with pytest.raises(ValueError, match=r"CER of 1?[0-9][0-9]% on unseen speakers"):
        forget_difficulty(
            Inputs(task),
            UnlearningData.of(task, parts(data)),
            Stop(reference_model=models / "reference_model"),
            NO_SCORES,
        )
    right = [replace(one, hypothesis=one.reference) for one in scores(data, "unseen", task)]
    check_reference_errors(Path("o"), mean_score(right), 30)
    # Without transcripts the loss decides: half of a uniform guess's, ln 30 = 3.4.
    check_reference_errors(Path("o"), MeanScore(1.6, None), 30)
    with pytest.raises(ValueError, match=r"a loss of 1\.8 on unseen speakers, too high"):
        check_reference_errors(Path("o"), MeanScore(1.8, None), 30)


def test_a_model_trained_on_them_is_no_reference_model(data, models, tmp_path):
    def checked(folder, split=data.split):
        return with_reference_model(Stop(reference_model=folder), split).reference_model

    assert checked(models / "reference_model") == models / "reference_model"
    assert with_reference_model(Stop(), data.split) == Stop()
    with pytest.raises(
        ValueError,
        match=r"cannot be the reference model: .* on the parts retain, forget",
    ):
        checked(models / "original")
    other = make_split(data.manifest, [data.part("retain")[0].speaker])
    with pytest.raises(ValueError, match=r"the reference model: .* another split"):
        checked(models / "reference_model", other)
    for run, refused in ({"kind": "unlearn"}, True), ({}, False):
        (tmp_path / "run.json").write_text(json.dumps(run))
        if refused:
            with pytest.raises(ValueError, match="it was unlearned, and was trained on"):
                checked(tmp_path)
        else:
            assert checked(tmp_path) == tmp_path


def test_a_reference_model_of_the_hub_is_downloaded(data, tmp_path, monkeypatch):
    asked = []

    def download(name, allow_patterns):
        asked.append((name, "*.safetensors" in allow_patterns, "*.bin" in allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr("asr_unlearn.models.hub.snapshot_download", download)
    stop = with_reference_model(Stop(reference_model=Path("some/recogniser")), data.split)
    assert stop.reference_model == tmp_path
    assert asked == [("some/recogniser", True, False)]


def test_a_reference_model_that_is_nowhere_is_refused(data, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in (tmp_path / "none", Path("some/recogniser")):
        with pytest.raises(ValueError, match=f"no model folder {name}, and none .* from the Hub"):
            with_reference_model(Stop(reference_model=name), data.split)


def test_the_interval_is_narrower_where_the_reference_model_finds_the_same_speakers_hard(data):
    utterances = {u.speaker: u for u in data.manifest}.values()
    losses = [0.1 * (i + 1) for i in range(len(utterances))]
    unseen = [UtteranceLoss(u, loss) for u, loss in zip(utterances, losses, strict=True)]
    reference_model = [UtteranceLoss(u, 2 * x ** (1 / REFERENCE_POWER)) for u, x in
                zip(utterances, losses, strict=True)]  # fmt: skip
    # Nearly the same: where they are exactly the same, speakers do not differ at all.
    nearly = [replace(one, loss=one.loss * (1.01 if i % 2 else 0.99)) for i, one in
              enumerate(reference_model)]  # fmt: skip
    low, high = target_interval(unseen, 1.5, nearly)
    mean = 1.5 * float(np.mean(losses))
    assert 0.95 * mean < low < mean < high < 1.05 * mean
    wide = target_interval(unseen, 1.5)
    assert wide[0] < 0.8 * mean < 1.2 * mean < wide[1]
    assert difficulty(reference_model, reference_model, REFERENCE_POWER) == pytest.approx(1)
    assert hardness(reference_model, REFERENCE_POWER)[0] == pytest.approx(2**REFERENCE_POWER * 0.1)


def test_a_model_trained_on_fewer_speakers_has_a_higher_unseen_loss(data):
    forget, retain = data.part("forget"), data.part("retain")
    once = fewer_speakers_factor(forget, retain)
    assert 1 < once < fewer_speakers_factor(retain, forget)
    assert fewer_speakers_factor(forget[:1], retain) < once
    assert fewer_speakers_factor(forget, [*retain, *forget]) == 1


def test_an_informed_attack_trains_reference_models(data, models, learned, distant, tmp_path):
    """The reference model of the attacked model was trained on speakers that its models forget."""
    method = METHODS["gradient_ascent"](lr=1e-3, epochs=1.0)
    stop = Stop(reference_model=models / "reference_model", on="loss")
    out = tmp_path / "ga"
    unlearn_model(data, models / "original", method, out, seed=0, device=CPU, stop=stop)
    own = unlearning_of(SavedModel.at(out), data, device=CPU)
    (one,) = unlearnings(own, tmp_path / "attack", 1)
    one()
    made = SavedModel.at(one.out)
    own = made.reference_model()
    assert own is not None
    assert own != models / "reference_model"
    assert SavedModel.at(own).run()["request"] == one.corpus.split.digest != data.split.digest
    with_reference_model(Stop(reference_model=own), one.corpus.split)
    (models / "reference_model").rename(tmp_path / "away")
    try:
        with pytest.raises(ValueError, match="evaluate without --informed"):
            unlearning_of(SavedModel.at(out), data, device=CPU)
    finally:
        (tmp_path / "away").rename(models / "reference_model")


def test_a_recipe_trains_one_before_the_methods_and_does_not_evaluate_it(tmp_path):
    from asr_unlearn.cli.recipe import read_recipe

    folder = Path(__file__).parents[2] / "recipes" / "an4"

    def commands(*arguments):
        recipe = read_recipe(folder / "recipe.yaml")
        given = parser(recipe, folder).parse_args(["--out", str(tmp_path), *arguments])
        return [c for c in make_plan(recipe, folder, given).commands() if c.stage in (5, 6)]

    reference_model, first, *_, evaluate = commands("--methods", "ssd,scrub")
    assert reference_model.leaves == tmp_path / "reference_model"
    assert reference_model.argv[reference_model.argv.index("--parts") + 1] == "retain"
    assert first.argv[first.argv.index("--stop.reference_model") + 1] == str(reference_model.leaves)
    assert reference_model.leaves in first.reads
    models = evaluate.argv[evaluate.argv.index("--models") + 1]
    assert models == "original,retrained,ssd,scrub"
    for off in (["--preset", "whisper"], ["--set", "reference_model.model="]):
        assert not any("reference_model" in " ".join(command.argv) for command in commands(*off))


def test_an_unlearned_shadow_model_has_a_reference_model_of_its_own(
    data, models, learned, distant, tmp_path
):
    """That of the attacked model was trained for another split, and is refused."""
    method = METHODS["gradient_ascent"](lr=1e-3, epochs=1.0)
    stop = Stop(reference_model=models / "reference_model", on="loss")
    out = tmp_path / "ga"
    unlearn_model(data, models / "original", method, out, seed=0, device=CPU, stop=stop)
    original = SavedModel.at(models / "original")
    shadows = shadows_of(original, data, tmp_path / "shadows", count=2, device=CPU)
    shadows[0]()
    given = unlearning_of(SavedModel.at(out), data, device=CPU)
    one, _ = unlearned_shadows(given, shadows, tmp_path / "unlearned")
    one()
    own = SavedModel.at(one.out).reference_model()
    assert SavedModel.at(own).run()["request"] == shadows[0].corpus.split.digest
    assert SavedModel.at(one.out).original() == shadows[0].out
