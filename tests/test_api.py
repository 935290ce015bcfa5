"""Unlearning on objects in memory."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from asr_unlearn import Stop, Unlearned, Utterance, unlearn
from asr_unlearn.data.audio import load_audio
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.methods.gradient_ascent import GradientAscent
from asr_unlearn.methods.orthograd import OrthoGrad
from asr_unlearn.methods.orthograd_tau import OrthoGradTau
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import MeanScore, mean_score, score
from asr_unlearn.models.loading import model_from_config
from asr_unlearn.models.tasks import task_for
from asr_unlearn.runtime.errors import InputError


@pytest.fixture
def setting(corpus, tiny_config):
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    model, processor = model_from_config(str(tiny_config), alphabet_of(data.manifest), seed=0)
    return data, model, processor


def test_the_model_itself_is_changed_and_left_trainable_as_it_was(setting):
    data, model, processor = setting
    model.lm_head.bias.requires_grad_(False)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    parts = {"forget": data.part("forget"), "retain": data.part("retain")}
    found = unlearn(
        model,
        processor,
        **parts,
        method="orthograd",
        stop=Stop(rule="steps"),
        epochs=1,
        lr=1e-3,
        retain_batch=4,
    )
    assert found == Unlearned(
        model=model,
        steps=1,
        kept_step=found.steps,
        seconds=found.seconds,
        stopped=f"after all {found.steps} steps",
        target=None,
        warning=None,
    )
    assert found.seconds > 0
    after = dict(model.named_parameters())
    assert not torch.equal(after["lm_head.weight"], before["lm_head.weight"])
    assert torch.equal(after["lm_head.bias"], before["lm_head.bias"])
    front_end = [n for n in before if "feature_extractor" in n]
    assert front_end
    assert all(torch.equal(after[n], before[n]) for n in front_end)
    assert [n for n, p in after.items() if not p.requires_grad] == ["lm_head.bias"]


@pytest.mark.parametrize("given", [("forget", "unseen"), ("forget", "retain", "unseen")])
def test_the_target_that_a_run_went_to_is_returned(setting, given):
    data, model, processor = setting
    parts = {name: data.part(name) for name in given}
    task = task_for(model, processor)
    expected = mean_score(score(task, Inputs(task), parts["unseen"]))
    options = {"method": "gradient_ascent", "epochs": 4.0, "lr": 1e-3}
    found = unlearn(model, processor, **parts, stop=Stop(on="loss", by_difficulty=False), **options)
    assert found.target.loss == pytest.approx(expected.loss)
    assert found.target.cer == pytest.approx(expected.cer)
    assert 0 < found.kept_step <= found.steps


def test_a_ruined_model_is_returned_with_a_warning(setting, monkeypatch):
    data, model, processor = setting
    before, after = MeanScore(0.05, 0.02), MeanScore(400.0, 1.0)
    monkeypatch.setattr("asr_unlearn.training.unlearn.quick_scores", lambda *_: "after")
    monkeypatch.setattr(
        "asr_unlearn.training.unlearn.mean_score", lambda s: after if s == "after" else before
    )
    parts = {name: data.part(name) for name in ("forget", "retain")}
    options = {"method": "gradient_ascent", "stop": Stop(rule="steps"), "epochs": 1.0}
    found = unlearn(model, processor, **parts, **options)
    assert found.warning.startswith("the model is ruined: on ")


@pytest.mark.parametrize("method", [OrthoGrad, OrthoGradTau])
def test_a_method_that_was_used_before_starts_anew(setting, method):
    data, model, processor = setting
    parts = {name: data.part(name) for name in ("forget", "retain", "unseen")}
    options = {"lr": 1e-3} if method is OrthoGrad else {"target": 1.5}
    used = method(epochs=3.0, forget_batch=2, retain_batch=4, **options)
    found = []
    for _ in range(2):
        start = copy.deepcopy(model)
        unlearn(start, processor, **parts, method=used, stop=Stop(rule="steps"))
        found.append(start.state_dict())
    assert all(torch.equal(found[1][name], tensor) for name, tensor in found[0].items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_model_in_half_precision_is_refused(setting, dtype):
    data, model, processor = setting
    model.lm_head.to(dtype)
    message = rf"lm_head.weight is {str(dtype)[6:]}, .* load it with dtype=torch.float32"
    with pytest.raises(InputError, match=message):
        unlearn(model, processor, forget=data.part("forget"), retain=data.part("retain"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_after_any_exception_weights_and_flags_are_as_they_were(setting, error, monkeypatch):
    data, model, processor = setting
    model.train()
    model.wav2vec2.encoder.eval()
    model.lm_head.bias.requires_grad_(False)
    model.lm_head.weight.grad = torch.ones_like(model.lm_head.weight)

    def flags():
        modules = [(m.training, getattr(m, "_requires_grad", None)) for m in model.modules()]
        grads = [None if p.grad is None else p.grad.sum().item() for p in model.parameters()]
        return modules, [p.requires_grad for p in model.parameters()], grads

    before, weights = flags(), {n: t.clone() for n, t in model.state_dict().items()}
    took = []

    def after_step(method, step):
        took.append(any(not torch.equal(t, weights[n]) for n, t in model.state_dict().items()))
        if len(took) == 2:
            next(model.parameters()).data.fill_(torch.nan)
            raise error

    monkeypatch.setattr(GradientAscent, "after_step", after_step)
    options = {"method": "gradient_ascent", "stop": Stop(rule="steps"), "lr": 1e-2}
    with pytest.raises(error):
        unlearn(model, processor, forget=data.part("forget"), **options)
    assert took == [True, True]
    assert flags() == before
    assert all(torch.equal(t, weights[n]) for n, t in model.state_dict().items())


@pytest.mark.parametrize(
    "make",
    [
        torch.from_numpy,
        np.ndarray.tolist,
        lambda w: torch.from_numpy(w).double().requires_grad_(),
        lambda w: torch.from_numpy(w).bfloat16(),
    ],
)
def test_waves_may_be_tensors_or_lists(setting, make):
    data, model, processor = setting
    given = {u.id: make(load_audio(u.audio)) for u in data.part("forget")}
    waves = {name: torch.as_tensor(w).detach().float().numpy() for name, w in given.items()}
    options = {"method": "gradient_ascent", "stop": Stop(rule="steps"), "epochs": 1.0}
    options["forget"] = data.part("forget")
    start = copy.deepcopy(model.state_dict())
    expected = copy.deepcopy(unlearn(model, processor, audio=waves, **options).model.state_dict())
    model.load_state_dict(start)
    found = unlearn(model, processor, audio=given, **options).model.state_dict()
    assert all(torch.equal(t, expected[n]) for n, t in found.items())


def test_the_original_is_not_returned_as_unlearned(setting):
    """An untrained model treats all speakers as unseen."""
    data, model, processor = setting
    parts = {name: data.part(name) for name in ("forget", "retain", "unseen")}
    with pytest.raises(ValueError, match="nothing was unlearned"):
        unlearn(model, processor, **parts, stop=Stop(tolerance=0.5))


def test_waves_in_memory_take_the_place_of_files(setting):
    data, model, processor = setting
    waves, homeless = {}, []
    for utterance in data.part("forget"):
        # The same name as the utterance's: the two look alike.
        waves[f" {utterance.id}\N{ZERO WIDTH SPACE}"] = load_audio(utterance.audio)
        homeless.append(
            Utterance(
                id=utterance.id,
                audio="/nowhere.wav",
                speaker="s",
                seconds=utterance.seconds,
                text=utterance.text,
            )
        )
    options = {"method": "gradient_ascent", "stop": Stop(rule="steps"), "epochs": 1.0}
    unlearn(model, processor, forget=homeless, audio=waves, **options)
    assert all(np.isfinite(p.detach()).all() for p in model.parameters())


def test_an_id_in_two_parts_or_twice_in_one_is_named(setting):
    data, model, processor = setting
    parts = {part: data.part(part) for part in ("forget", "retain", "unseen")}
    utterance = parts["unseen"][0]
    mixed = parts | {"retain": [*parts["retain"], utterance]}
    with pytest.raises(ValueError, match=f"'{utterance.id}' is in retain and in unseen"):
        unlearn(model, processor, **mixed)
    doubled = parts | {"forget": [*parts["forget"], replace(parts["forget"][0], text="A")]}
    with pytest.raises(ValueError, match=f"utterance '{parts['forget'][0].id}' is twice in forget"):
        unlearn(model, processor, **doubled)
    nameless = parts | {"forget": [replace(parts["forget"][0], id=" ")]}
    with pytest.raises(ValueError, match="an utterance of forget has an empty id"):
        unlearn(model, processor, **nameless)


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        (
            np.zeros((8_000, 2), np.float32),
            r"audio of 's\d-\d' has the shape \(8000, 2\); give one",
        ),
        (np.zeros(8_000, np.int16), r"audio of 's\d-\d' is int16; give float32"),
        (torch.zeros(1, 8_000), r"audio of 's\d-\d' has the shape \(1, 8000\); give one"),
        (torch.zeros(8_000, dtype=torch.int16), r"audio of 's\d-\d' is int16; give float32"),
        ({"array": np.zeros(8_000)}, r"audio of 's\d-\d' is a dict; give an array, a tensor"),
        (None, r"audio of 's\d-\d' is a NoneType; give an array, a tensor"),
        ([[0.0], [0.0, 1.0]], r"audio of 's\d-\d' is no wave"),
        ("a.wav", r"audio of 's\d-\d' is a str; give an array"),
        (np.full(8_000, np.nan, np.float32), r"audio of 's\d-\d' has values that are not finite"),
        (np.full(8_000, 1e37, np.float32), r"audio of 's\d-\d': holds samples up to 1e\+37"),
    ],
)
def test_a_wave_of_another_form_is_named_and_the_model_left_as_it_was(setting, wave, message):
    data, model, processor = setting
    forget = data.part("forget")
    model.train()
    model.lm_head.bias.requires_grad_(False)
    options = {"method": "gradient_ascent", "stop": Stop(rule="steps")}
    waves = {u.id: wave for u in forget}
    with pytest.raises(ValueError, match=message):
        unlearn(model, processor, forget=forget, audio=waves, **options)
    assert model.training
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == ["lm_head.bias"]


@pytest.mark.parametrize(
    ("half", "message"),
    [
        (lambda _: None, "NoneType, has no feature extractor and no tokenizer; give"),
        (lambda p: p.tokenizer, "Wav2Vec2CTCTokenizer, has no feature extractor; give"),
        (lambda p: p.feature_extractor, "Wav2Vec2FeatureExtractor, has no tokenizer; give"),
    ],
)
def test_half_a_processor_is_refused(setting, half, message):
    data, model, processor = setting
    with pytest.raises(ValueError, match=message):
        unlearn(model, half(processor), forget=data.part("forget"))


@pytest.mark.parametrize(
    ("lacking", "message"),
    [("retain", "needs utterances for: retain"), ("unseen", "needs utterances for: unseen")],
)
def test_what_is_missing_is_said(setting, lacking, message):
    data, model, processor = setting
    parts = {part: data.part(part) for part in ("forget", "retain", "unseen") if part != lacking}
    with pytest.raises(ValueError, match=message):
        unlearn(model, processor, **parts)


def test_of_a_model_that_peft_wraps_the_adapters_are_changed(setting):
    data, model, processor = setting
    wrapped = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear"))
    before = {name: p.detach().clone() for name, p in wrapped.named_parameters()}
    options = {"method": "gradient_ascent", "epochs": 2, "lr": 1e-2, "stop": Stop(rule="steps")}
    found = unlearn(wrapped, processor, forget=data.part("forget"), **options)
    assert found.model is wrapped
    changed = {n for n, p in wrapped.named_parameters() if not torch.equal(p, before[n])}
    assert changed == {name for name in before if "lora_" in name}
