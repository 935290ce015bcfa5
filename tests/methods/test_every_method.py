"""Every method takes real steps on every kind of model: a recogniser, Whisper, a classifier."""

import json
import math

import pytest
import torch
from transformers import Wav2Vec2Config, WhisperConfig

from asr_unlearn.data.batching import collate
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.gradients import trainable_parameters
from asr_unlearn.methods import METHODS
from asr_unlearn.methods.attention_smoothing import QUERIES, smoothed_copy
from asr_unlearn.methods.distillation import untrained
from asr_unlearn.methods.random_label import wrong_targets
from asr_unlearn.models.ecapa import EcapaConfig
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import model_from_config, vocabulary_of
from asr_unlearn.models.tasks import task_for
from asr_unlearn.models.tasks.compute import Compute
from asr_unlearn.training.preparation import Preparation
from asr_unlearn.training.trainer import Training
from tests.support.rates import rate
from tests.support.tiny_model import tiny_ecapa_options, tiny_options, tiny_whisper_options

KINDS = ("ctc", "seq2seq", "classification", "ecapa")
# An epoch is two steps of the forget set, and of the retain set.
OPTIONS = {"forget_batch": 3, "retain_batch": 8, "epochs": 1.0}
STEPS = dict.fromkeys(METHODS, 2) | {"scrub": 4, "sfr_on": 4}
EXTRA = {"ssd": {"levels": 2, "weakest": 2.0}}
# Methods that leave some weights as they are.
PARTIAL = ("cf_k", "ssd", "salun", "sfr_on", "rmu")
# Parameters without a gradient: a mask that is used in training mode only, and the biases of
# attention's keys, which cancel in the softmax.
STILL = ("masked_spec_embed", "k_proj.bias")


@pytest.fixture(scope="module")
def data(corpus):
    return Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")


def build(kind, folder, data):
    if kind == "seq2seq":
        config = WhisperConfig(**tiny_whisper_options())
    elif kind == "ecapa":
        config, kind = EcapaConfig(**tiny_ecapa_options()), "classification"
    else:
        sizes = tiny_options() | {"feat_extract_norm": "layer", "classifier_proj_size": 8}
        config = Wav2Vec2Config(**sizes)
    config.save_pretrained(folder)
    names = vocabulary_of(data.manifest, kind)
    task = task_for(*model_from_config(str(folder), names, seed=0, task=kind))
    task.freeze_front_end()
    return task


def weights(task):
    return {name: p.detach().clone() for name, p in task.model.named_parameters()}


def train(task, data, name, folder, **options):
    method = METHODS[name](**(OPTIONS | rate(name, 1e-3) | EXTRA.get(name, {}) | options))
    parts = {part: data.part(part) for part in method.needs}
    base = trainable_parameters(task.model) if method.needs_base else {}
    prepared = Preparation(base=base)
    outcome = Training(task, method, parts, Inputs(task), folder, seed=0, prepared=prepared)()
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return outcome, rows


def moved(task, before):
    return {n for n, p in task.model.named_parameters() if not torch.equal(p, before[n])}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(METHODS))
def test_two_steps(name, kind, data, tmp_path):
    task = build(kind, tmp_path / "config", data)
    if (name, kind) == ("attention_smoothing", "ecapa"):
        with pytest.raises(ValueError, match="no attention to smooth"):
            train(task, data, name, tmp_path / "run")
        return
    before = weights(task)
    trainable = {n for n, p in task.model.named_parameters() if p.requires_grad}
    outcome, rows = train(task, data, name, tmp_path / "run")
    assert outcome.steps == STEPS[name]
    losses = [value for row in rows for key, value in row.items() if key.endswith("_loss")]
    assert (name == "ssd") == (not losses)
    assert all(map(math.isfinite, losses))
    assert all(torch.isfinite(p).all() for p in task.model.parameters())
    changed = moved(task, before)
    assert changed <= trainable
    reached = {n for n in trainable if not n.endswith(STILL)}
    if name in PARTIAL:
        assert changed
    else:
        assert reached <= changed


# Of others dropout draws other noise for pieces, or the first gradient, of a divergence from the
# model itself or from one near it, is little more than rounding.
DISTILLED = ("bad_teacher", "scrub", "undo")
EXACT = [n for n, m in METHODS.items() if not m.trains and n not in DISTILLED]


@pytest.mark.parametrize("kind", ["ctc", "seq2seq"])
@pytest.mark.parametrize("name", EXACT)
def test_batches_in_pieces_give_the_same_steps(name, kind, data, tmp_path):
    found = []
    # Where an utterance of half a second is padded to more, each is a piece of its own.
    for seconds in (0.0, 1.1):
        task = build(kind, tmp_path / "config", data)
        task.compute = Compute(max_seconds=seconds)
        before = weights(task)
        train(task, data, name, tmp_path / f"run {seconds:g}")
        after = weights(task)
        # The gradient of the keys' biases is rounding alone, and Adam makes steps of it.
        names = [n for n in before if not n.endswith(STILL)]
        found.append(torch.cat([(after[n] - before[n]).flatten() for n in names]))
    assert found[0].norm() > 0
    # Adam's first steps depend on the signs of gradients, of which some are near 0.
    assert (found[1] - found[0]).norm() <= 0.05 * found[0].norm()


def test_the_methods_are_all_there():
    assert len(METHODS) == 21


@pytest.mark.parametrize("kind", KINDS)
def test_cf_k_moves_the_last_layers_only(kind, data, tmp_path):
    task = build(kind, tmp_path / "config", data)
    before = weights(task)
    last = {p for layer in task.layers()[-2:] for p in layer.parameters()}
    expected = {n for n, p in task.model.named_parameters() if p in last}
    assert 0 < len(expected) < len(before) / 2
    train(task, data, "cf_k", tmp_path / "run", layers=2)
    changed = moved(task, before)
    assert {n for n in expected if not n.endswith(STILL)} <= changed <= expected


@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_the_whole_model_behind_its_front_end(kind, data, tmp_path):
    """All but positions, the feature projection, outer norms and Whisper's token embedding."""
    task = build(kind, tmp_path, data)
    layers = task.layers()
    expected = {"ctc": 2 + 1, "seq2seq": 2 + 2 + 1, "classification": 2 + 2, "ecapa": 4 + 3}
    assert len(layers) == expected[kind]
    inside = {id(p) for layer in layers for p in layer.parameters()}
    outside = {
        n for n, p in task.model.named_parameters() if p.requires_grad and id(p) not in inside
    }
    assert all("layers" not in n for n in outside)


@pytest.mark.parametrize(
    ("kind", "attentions"), [("ctc", 2), ("seq2seq", 6), ("classification", 2)]
)
def test_every_attention_is_smoothed(kind, attentions, data, tmp_path):
    task = build(kind, tmp_path, data)
    teacher = smoothed_copy(task, 4.0)
    before, after = weights(task), weights(teacher)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    names = {name for name in before if name.split(".")[-2] in QUERIES}
    assert changed <= names
    assert len({name.rpartition(".")[0] for name in changed}) == attentions
    for name in changed:
        torch.testing.assert_close(after[name], before[name] / 4)


@pytest.mark.parametrize("kind", KINDS)
def test_teachers_give_distributions_over_the_same_frames(kind, data, tmp_path):
    """An untrained teacher has other distributions over the same frames or tokens."""
    task = build(kind, tmp_path, data)
    teacher = untrained(task, seed=5)
    inputs = Inputs(task)
    batch = collate([inputs(u) for u in data.part("forget")])
    with torch.no_grad():
        (mine, true), (theirs, same) = task.distributions(batch), teacher.distributions(batch)
    assert mine.shape == theirs.shape
    assert torch.equal(true, same)
    assert true.any(1).all()
    assert (mine - theirs).abs().max() > 1e-3
    for log_probabilities in (mine, theirs):
        torch.testing.assert_close(log_probabilities.exp().sum(-1), torch.ones(true.shape))


@pytest.mark.parametrize("kind", KINDS)
def test_states_of_a_batch_are_those_of_its_utterances_alone(kind, data, tmp_path):
    task = build(kind, tmp_path, data)
    task.model.eval()
    inputs = Inputs(task)
    chosen = data.part("forget")[:3]
    with torch.no_grad():
        states, own = task.states(collate([inputs(u) for u in chosen]))
        for utterance, mine, true in zip(chosen, states, own, strict=True):
            alone, all_own = task.states(collate([inputs(utterance)]))
            assert true.sum() == all_own.sum()
            torch.testing.assert_close(mine[true], alone[all_own], rtol=1e-4, atol=1e-5)
    assert states.shape[:2] == own.shape
    if kind == "ecapa":
        assert own.shape == (3, 1)
        return
    # Half a second of speech at 50 states a second, or at those of the convolutions.
    samples = torch.tensor([u.seconds for u in chosen]) * 16_000
    a_second = {"seq2seq": 50}.get(kind, 16_000 / (20 * 8 * 2))
    assert ((own.sum(1) - samples / 16_000 * a_second).abs() <= 2).all()


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_targets_are_other_targets(kind, data, tmp_path):
    task = build(kind, tmp_path / "config", data)
    method = METHODS["random_label"](**OPTIONS)
    parts = {part: data.part(part) for part in method.needs}
    run = Training(task, method, parts, Inputs(task), tmp_path / "run", seed=0)
    drawn = wrong_targets(run.context)
    others = [task.target(u).tolist() for u in data.part("retain")]
    for utterance in data.part("forget"):
        assert drawn[utterance.id].tolist() != task.target(utterance).tolist()
        assert drawn[utterance.id].tolist() in others
