"""Help for a Whisper from random weights: it is as described, resumes, and leaves no trace."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st
from transformers import WhisperConfig, WhisperForConditionalGeneration, pipeline

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.methods import METHODS
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.tasks import WhisperSeq2Seq
from asr_unlearn.models.tasks.from_scratch import (
    HEAD,
    Seq2SeqFromScratch,
    TrainingAids,
    remove_head,
)
from asr_unlearn.training.finetune import train_model
from asr_unlearn.training.setup import Setup
from tests.support.killing import run_until_killed
from tests.support.tiny_model import tiny_whisper_options
from tests.support.tiny_training import tiny_training
from tests.support.whisper_task import TEXTS, batches, build, load, utterances

ALL = TrainingAids(ctc=0.3, token_noise=0.2, joined=0.5)


def aided(folder, aids):
    task = build(folder)
    torch.manual_seed(0)
    return Seq2SeqFromScratch(task.model, task.processor, None, aids)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_the_loss_is_the_decoders_and_the_encoders(share, tmp_path):
    task = aided(tmp_path, TrainingAids(ctc=share))
    plain = WhisperSeq2Seq(task.model, task.processor)
    together, alone = batches(task)
    with torch.no_grad():
        losses, decoders = task.losses(together), plain.losses(together)
        for loss, decoder, batch, text in zip(losses, decoders, alone, TEXTS.values(), strict=True):
            states = task.model.get_encoder()(task.front_end.features(batch)).last_hidden_state
            # An encoder position every two frames of the spectrogram.
            length = -(-batch.inputs.shape[1] // 2)
            frames = getattr(task.model, HEAD)(states)[0, :length].log_softmax(-1)
            letters = task.tokenizer(text, add_special_tokens=False).input_ids
            ctc = F.ctc_loss(
                frames,
                torch.tensor(letters),
                (length,),
                (len(letters),),
                blank=len(task.tokenizer),
                reduction="sum",
            )
            torch.testing.assert_close(loss, (1 - share) * decoder + share * ctc / len(letters))


def test_without_aids_it_is_the_plain_task_and_without_training_too(tmp_path):
    task = aided(tmp_path, TrainingAids(token_noise=1.0, joined=1.0))
    plain = WhisperSeq2Seq(task.model, task.processor)
    together, _ = batches(task)
    with torch.no_grad():
        expected = plain.losses(together)
        assert torch.equal(task.losses(together), expected)
        task.model.train()
        assert not torch.allclose(task.losses(together), expected, rtol=0.01)
        task.aids = TrainingAids()
        assert torch.equal(task.losses(together), expected)


def test_an_utterance_without_room_is_left_to_the_decoder(tmp_path):
    task = aided(tmp_path, TrainingAids(ctc=0.5))
    plain = WhisperSeq2Seq(task.model, task.processor)
    # 5500 samples are 18 positions of the encoder, and twelve equal letters need 23.
    batch, _ = batches(task, {"b": "A" * 12})
    torch.testing.assert_close(task.losses(batch), plain.losses(batch) / 2)
    torch.autograd.grad(task.losses(batch).sum(), list(task.model.parameters())[1:2])


def test_noise_leaves_the_prompt_and_the_targets_alone(tmp_path):
    task = aided(tmp_path, TrainingAids(token_noise=0.5))
    together, _ = batches(task)
    right = task._decoder_inputs(together)
    task.model.train()
    drawn = torch.stack([task._decoder_inputs(together) for _ in range(200)])
    prompt = len(task.prompt)
    assert (drawn[:, :, :prompt] == right[:, :prompt]).all()
    assert ((drawn == right) | (drawn < task.characters)).all()
    # One of five characters is drawn, and may be the right one.
    own = torch.arange(right.shape[1] - prompt) < together.target_lengths[:, None] - 1
    changed = (drawn != right)[:, :, prompt:][:, own].float().mean()
    assert changed == pytest.approx(0.5 * 4 / 5, abs=0.02)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_joined_utterances_are_two_of_the_batch_where_there_is_room(shared_task, seed, share):
    task = shared_task
    task.aids = TrainingAids(joined=share)
    together, _ = batches(task)
    alone = {e.id: e for e in task._parted(together)}
    torch.manual_seed(seed)
    joined = task._joined(together)
    assert joined.ids == together.ids
    frames = task.front_end.frames(joined.samples)
    assert frames.max() <= task.front_end.length
    assert joined.target_lengths.max() <= task.longest_target
    for example in task._parted(joined):
        first = alone[example.id]
        if len(example.target) == len(first.target):
            assert torch.equal(example.input, first.input)
            assert torch.equal(example.target, first.target)
            continue
        (second,) = (
            e for e in alone.values() if torch.equal(example.target[len(first.target) :], e.target)
        )
        assert example.target[len(first.target) - 1] == task.space
        kept = first.samples // 160
        assert torch.equal(example.input[:kept], first.input[:kept])
        assert torch.equal(example.input[kept:], second.input)


@pytest.fixture(scope="module")
def shared_task(tmp_path_factory):
    return aided(tmp_path_factory.mktemp("whisper"), TrainingAids())


def test_a_joined_spectrogram_is_that_of_the_joined_waves(tmp_path):
    task = aided(tmp_path, TrainingAids(joined=1.0))
    a, b = (u for u in utterances() if u.id in "ab")
    both = task._after(*(Inputs(task, load=load)(u) for u in (a, b)))
    wave = load(a)[: len(load(a)) // 160 * 160]
    expected = task.encode(np.concatenate([wave, load(b)]))
    assert both.input.shape == expected.shape
    # But for the frames whose windows reach into both waves: 400 samples, every 160.
    seam = len(wave) // 160
    away = (torch.arange(len(expected)) - seam).abs() > 2
    torch.testing.assert_close(both.input[away], expected[away], rtol=0, atol=1e-4)
    assert task._text(both.target[:-1].tolist()) == "AB CAD A"


def make(corpus, config, folder):
    def task(model, processor):
        return Seq2SeqFromScratch(model, processor, None, ALL)

    options = {"lr": 3e-3, "epochs": 2, "retain_batch": 4}
    return tiny_training(corpus, config, folder, "finetune", make_task=task, **options)


@pytest.fixture(scope="module")
def tiny_whisper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    WhisperConfig(**tiny_whisper_options() | {"init_std": 0.08, "dropout": 0.1}).save_pretrained(
        folder
    )
    return folder


def test_interrupted_equals_uninterrupted(corpus, tiny_whisper, tmp_path):
    """Bit for bit, the head, the noise and the joining included."""
    whole = make(corpus, tiny_whisper, tmp_path / "whole")
    whole()
    assert whole.progress.step == 8
    killed = make(corpus, tiny_whisper, tmp_path / "killed")
    run_until_killed(killed, 3)
    torch.manual_seed(99)
    resumed = make(corpus, tiny_whisper, tmp_path / "killed")
    resumed()
    expected = whole.task.model.state_dict()
    assert f"{HEAD}.weight" in expected
    for name, tensor in resumed.task.model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def train(corpus, config, folder, setup, **options):
    train_model(
        Corpus.read(corpus / "manifest.jsonl", corpus / "split.json"),
        str(config),
        METHODS["finetune"](**options),
        folder,
        parts=["retain"],
        seed=0,
        device=torch.device("cpu"),
        setup=setup,
    )


def test_what_is_saved_is_a_plain_whisper(corpus, tiny_whisper, tmp_path):
    setup = Setup(aids=ALL)
    train(corpus, tiny_whisper, tmp_path / "model", setup, lr=1e-3, epochs=1, retain_batch=8)
    setup = Setup.of(json.loads((tmp_path / "model" / "run.json").read_text())["options"])
    assert setup == Setup(task="seq2seq", front_end_frozen=False, aids=ALL, window=1.0)
    model, info = WhisperForConditionalGeneration.from_pretrained(
        tmp_path / "model", output_loading_info=True
    )
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert type(model) is WhisperForConditionalGeneration
    assert HEAD not in dict(model.named_children())
    recogniser = pipeline("automatic-speech-recognition", model=str(tmp_path / "model"))
    assert isinstance(recogniser(load(utterances()[0]))["text"], str)


def test_a_language_that_it_does_not_have_is_refused(corpus, tiny_whisper, tmp_path):
    with pytest.raises(ValueError, match="Unsupported language: klingon"):
        train(corpus, tiny_whisper, tmp_path / "model", Setup(aids=ALL, language="klingon"))


def test_the_head_comes_off(tmp_path):
    task = aided(tmp_path, ALL)
    before = set(build(tmp_path).model.state_dict())
    assert set(task.model.state_dict()) - before == {f"{HEAD}.weight", f"{HEAD}.bias"}
    remove_head(task.model)
    remove_head(task.model)
    assert set(task.model.state_dict()) == before


def test_aids_are_for_a_whisper_from_scratch(corpus, tiny_config, tmp_path):
    with pytest.raises(ValueError, match="joined are for a Whisper that starts from its config"):
        train(corpus, tiny_config, tmp_path / "model", Setup(aids=TrainingAids(joined=0.1)))
    with pytest.raises(ValueError, match=r"token_noise=1\.5 is not between 0 and 1"):
        TrainingAids(token_noise=1.5)


def test_with_a_ctc_head_the_encoder_learns_to_listen(corpus, tiny_whisper, tmp_path):
    """Some thirty steps bring the loss down, head and decoder."""
    run = make(corpus, tiny_whisper, tmp_path)
    run.total = 30
    seen = []
    log = run._log
    run._log = lambda **row: (seen.append(row["retain_loss"]), log(**row))
    run()
    halves = [sum(seen[i : i + 10]) for i in (0, 10, 20)]
    assert all(later < earlier for earlier, later in pairwise(halves))
