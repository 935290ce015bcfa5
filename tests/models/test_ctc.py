"""The CTC task: an utterance in a batch is the utterance alone, whatever the architecture."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F  # noqa: N812
from transformers import AutoConfig, AutoModelForCTC, Wav2Vec2CTCTokenizer, Wav2Vec2Processor

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.batching import Batch, collate
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.methods import METHODS
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.front_ends.waveform import LEAKS_PADDING
from asr_unlearn.models.processors import character_processor, wave_extractor
from asr_unlearn.models.tasks import CTC
from asr_unlearn.models.tasks.task import NonFiniteLossError
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.log import warn_once
from tests.support.rounding import tolerance
from tests.support.tiny_model import tiny_options

pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")

FAMILIES = [
    "wav2vec2",
    "hubert",
    "wavlm",
    "unispeech",
    "unispeech-sat",
    "data2vec-audio",
    "wav2vec2-conformer",
    "sew",
    "sew-d",
]
WAVES = {"a": 9_000, "b": 5_500, "c": 7_321}


def build(family: str, norm: str = "layer", **settings: object) -> CTC:
    processor = character_processor("ABCD", attention_mask=norm == "layer")
    options = tiny_options() | {"feat_extract_norm": norm, "pad_token_id": 0}
    if family == "data2vec-audio":
        options["conv_pos_kernel_size"] = 7
    if family.startswith("sew"):
        options["squeeze_factor"] = 2
    options["vocab_size"] = len(processor.tokenizer)
    torch.manual_seed(0)
    model = AutoModelForCTC.from_config(AutoConfig.for_model(family, **options, **settings))
    return CTC(model.eval(), processor)


def utterances() -> list[Utterance]:
    return [
        Utterance(id=name, audio=Path(name), speaker="s", seconds=samples / 16_000, text="AB CAD")
        for name, samples in WAVES.items()
    ]


def load(utterance: Utterance) -> np.ndarray:
    rng = np.random.default_rng(WAVES[utterance.id])
    return rng.standard_normal(WAVES[utterance.id]).astype(np.float32)


def batches(task: CTC) -> tuple[Batch, list[Batch]]:
    examples = [Inputs(task, load=load)(u) for u in utterances()]
    return collate(examples), [collate([e]) for e in examples]


@pytest.mark.parametrize("norm", ["layer", "group"])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_the_model_called_on_the_wave(family, norm):
    task = build(family, norm)
    _, alone = batches(task)
    for batch in alone:
        with torch.no_grad():
            expected = task.model(batch.inputs).logits
            allowed = tolerance(task, batch)
            torch.testing.assert_close(task.logits(batch), expected, **allowed)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("norm", ["layer", "group"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_is_its_utterances_alone(family, norm, frozen):
    task = build(family, norm)
    if frozen:
        task.freeze_front_end()
    together, alone = batches(task)
    assert together.inputs.dim() == (3 if frozen else 2)
    with torch.no_grad():
        losses, texts, sure = task.score(together)
        singly = [task.score(batch) for batch in alone]
    exact = family not in LEAKS_PADDING
    assert task.batches_are_exact == exact
    expected = torch.cat([one.losses for one in singly])
    allowed = tolerance(task, together) if exact else {"rtol": 0.1, "atol": 0.1}
    torch.testing.assert_close(losses, expected, **allowed)
    if exact:
        assert texts == [text for _, (text,), _ in singly]
        for field in ("confidence", "entropy"):
            each = torch.cat([getattr(one.certainty, field) for one in singly])
            torch.testing.assert_close(getattr(sure, field), each, **allowed)


def test_an_adapter_sees_padding():
    processor = character_processor("ABCD", attention_mask=True)
    options = tiny_options() | {"feat_extract_norm": "layer", "pad_token_id": 0, "vocab_size": 7}
    config = AutoConfig.for_model("wav2vec2", **options, add_adapter=True, num_adapter_layers=1)
    torch.manual_seed(0)
    task = CTC(AutoModelForCTC.from_config(config).eval(), processor)
    assert not task.batches_are_exact
    together, alone = batches(task)
    expected = torch.cat([task.losses(batch) for batch in alone])
    assert not torch.allclose(task.losses(together), expected, atol=1e-4)


@pytest.mark.parametrize("positions", ["relative", "rotary"])
def test_positions_kept_from_inference_serve_in_training(positions):
    task = build("wav2vec2-conformer", position_embeddings_type=positions)
    together, _ = batches(task)
    with torch.inference_mode():
        task.losses(together)
    task.losses(together).sum().backward()


def test_the_loss_is_ctc_over_labels():
    task = build("wav2vec2")
    together, alone = batches(task)
    losses, allowed = task.losses(together), tolerance(task, together)
    for loss, batch in zip(losses, alone, strict=True):
        log_probs = task.model(batch.inputs).logits[0].log_softmax(-1)
        summed = F.ctc_loss(log_probs, batch.targets[0], (len(log_probs),), (6,), reduction="sum")
        torch.testing.assert_close(loss, summed / 6, **allowed)


def test_a_front_end_that_is_frozen_gets_no_gradient_and_a_trained_one_does():
    for frozen in (False, True):
        task = build("wav2vec2")
        if frozen:
            task.freeze_front_end()
        task.losses(batches(task)[0]).sum().backward()
        reached = [p.grad is not None for p in task.front_end.parameters()]
        assert any(reached) != frozen


def test_greedy_decoding_removes_repeats_and_blanks_and_what_lies_past_the_end():
    task = build("wav2vec2")
    together, _ = batches(task)
    frames = task.frames(together.samples)
    path = torch.zeros(3, int(frames.max()), dtype=torch.long)
    path[:, :7] = torch.tensor([3, 3, 0, 3, 2, 5, 5])  # A A _ A | C C
    path[1, frames[1] :] = 6
    logits = F.one_hot(path, len(task.processor.tokenizer)).float()
    assert task.transcripts(logits, together) == ["AA C"] * 3


def test_an_impossible_transcript_is_named():
    task = build("wav2vec2")
    batch, _ = batches(task)
    many = torch.full((3, 200), 3)
    impossible = Batch(batch.ids, batch.inputs, batch.samples, many, torch.full((3,), 200))
    with pytest.raises(NonFiniteLossError, match="a, b, c"):
        task.losses(impossible)


def test_unknown_characters_and_missing_transcripts_are_named():
    task = build("wav2vec2")
    odd = Utterance(id="u9", audio=Path("x"), speaker="s", seconds=1.0, text="AB?")
    with pytest.raises(ValueError, match=r"u9: .*'AB\?'"):
        task.target(odd)
    silent = Utterance(id="u9", audio=Path("x"), speaker="s", seconds=1.0)
    with pytest.raises(ValueError, match="u9 has no transcript"):
        task.target(silent)


def spoken(text: str) -> Utterance:
    return Utterance(id="u9", audio=Path("x"), speaker="s", seconds=1.0, text=text)


def test_transcripts_are_put_in_the_case_of_the_vocabulary_which_is_said_once(caplog):
    warn_once.cache_clear()
    task = build("wav2vec2")
    for text in ("AB CAB", "ab cab", "Ab cAB"):
        assert task.target(spoken(text)).tolist() == [3, 4, 2, 5, 3, 4]
        assert task.reference(spoken(text)) == "AB CAB"
    assert caplog.messages == ["transcripts are spelled in upper case, as the model writes"]
    with pytest.raises(InputError, match="u9: the vocabulary lacks 'É' of 'AB É DAB': spell it"):
        task.target(spoken("ab é dab"))


def test_a_lower_case_vocabulary_makes_references_lower_case():
    processor = character_processor("abcdß", attention_mask=True)
    task = CTC(build("wav2vec2").model, processor)
    assert task.reference(spoken("A BAß")) == "a baß"
    # A tokenizer of capitals that writes in lower case.
    processor = character_processor("ABCD", attention_mask=True)
    processor.tokenizer.do_lower_case = True
    task = CTC(task.model, processor)
    assert task.reference(spoken("A BAD")) == "a bad"
    assert task.target(spoken("A BAD")).tolist() == [3, 2, 4, 3, 6]
    path = torch.tensor([3, 2, 4, 3, 6])
    assert processor.decode(path) == "a bad"


def test_a_vocabulary_of_both_cases_takes_transcripts_as_they_are():
    task = CTC(build("wav2vec2").model, character_processor("ABcd", attention_mask=True))
    assert task.reference(spoken("Ac")) == "Ac"
    with pytest.raises(InputError, match="u9: the vocabulary lacks 'a' of 'ac'"):
        task.target(spoken("ac"))


@pytest.mark.parametrize("mark", ["<unk>", "<pad>", "|"])
def test_marks_of_the_vocabulary_in_transcripts_are_named(mark):
    task = build("wav2vec2")
    with pytest.raises(InputError, match=re.escape(f"u9: '{mark}' in 'A{mark}B': the vocabulary")):
        task.target(spoken(f"A{mark}B"))


@pytest.mark.parametrize("unknown", [None, "<unk>"])
def test_a_vocabulary_without_an_unknown_token_names_what_it_lacks(unknown, tmp_path):
    (tmp_path / "vocab.json").write_text('{"<pad>": 0, "|": 1, "A": 2, "B": 3}')
    tokenizer = Wav2Vec2CTCTokenizer(
        tmp_path / "vocab.json", unk_token=unknown, pad_token="<pad>", bos_token=None,
        eos_token=None,
    )  # fmt: skip
    processor = Wav2Vec2Processor(wave_extractor(attention_mask=True), tokenizer)
    task = CTC(build("wav2vec2").model, processor)
    assert task.target(spoken("AB BA")).tolist() == [2, 3, 1, 3, 2]
    with pytest.raises(InputError, match="u9: the vocabulary lacks 'Z' 'O' of 'AB ZOO'"):
        task.target(spoken("AB ZOO"))


def test_a_label_beyond_the_head_is_named():
    task = CTC(build("wav2vec2").model, character_processor("ABCDE", attention_mask=True))
    assert task.target(spoken("ABCD")).tolist() == [3, 4, 5, 6]
    said = "u9: the head has 7 outputs, the tokenizer has the label 7: give"
    with pytest.raises(InputError, match=said):
        task.target(spoken("ABE"))


def test_another_blank_in_the_tokenizer_than_in_the_config_is_refused():
    task = build("wav2vec2")
    task.model.config.pad_token_id = 1
    said = r"blank is 1 by pad_token_id of config.json, but 0 \('<pad>'\) by pad_token"
    with pytest.raises(InputError, match=said):
        CTC(task.model, task.processor)


def test_new_vocabularies_have_labels_without_a_gap():
    odd = "AB| \t\n\u00a0\u3000"
    vocabulary = character_processor(odd, attention_mask=True).tokenizer.get_vocab()
    assert vocabulary == {"<pad>": 0, "<unk>": 1, "|": 2, "A": 3, "B": 4}
    assert alphabet_of([spoken("A\tB\u00a0C\nD E")]) == ["A", "B", "C", "D", "E"]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("samples", [0, 50])
def test_an_utterance_without_a_frame_is_named(samples, frozen, tmp_path):
    task = build("wav2vec2")
    if frozen:
        task.freeze_front_end()
    inputs = Inputs(
        task, load=lambda _: np.zeros(samples, np.float32), feature_cache=tmp_path / "features"
    )
    with pytest.raises(ValueError, match=rf"a: {samples} samples are too few for the model \(a\);"):
        inputs(utterances()[0])


def test_features_on_disk_are_read_back_and_belong_to_one_front_end(tmp_path):
    task = build("wav2vec2")
    task.freeze_front_end()
    calls = []

    def counted(utterance: Utterance) -> np.ndarray:
        calls.append(utterance.id)
        return load(utterance)

    first = [Inputs(task, load=counted, feature_cache=tmp_path)(u) for u in utterances()]
    again = [Inputs(task, load=counted, feature_cache=tmp_path)(u) for u in utterances()]
    assert len(calls) == 3
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.input, other.input)
        assert one.samples == other.samples
    with torch.no_grad():
        next(task.front_end.parameters()).add_(0.1)
    Inputs(task, load=counted, feature_cache=tmp_path)(utterances()[0])
    assert len(calls) == 4


def test_features_of_what_was_there_before_are_not_taken(tmp_path):
    """Another recording under the old name, or another treatment of the wave."""
    task = build("wav2vec2")
    task.freeze_front_end()
    path = tmp_path / "a.wav"
    utterance = replace(utterances()[0], audio=path)

    def features(samples):
        soundfile.write(path, np.random.default_rng(samples).normal(size=samples), SAMPLE_RATE)
        return Inputs(task, feature_cache=tmp_path)(utterance)

    assert features(8000).samples == 8000
    assert features(6000).samples == 6000
    kept = features(6000).input
    task.processor.feature_extractor.do_normalize = False
    assert not torch.equal(features(6000).input, kept)


def test_damaged_features_are_computed_again(tmp_path):
    task = build("wav2vec2")
    task.freeze_front_end()
    right = Inputs(task, load=load, feature_cache=tmp_path)(utterances()[0])
    (file,) = tmp_path.rglob("*.features")
    whole = file.read_bytes()
    for place in (*range(0, len(whole), len(whole) // 40), len(whole) - 1):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        again = Inputs(task, load=load, feature_cache=tmp_path)(utterances()[0])
        assert torch.equal(again.input, right.input)
        assert file.read_bytes() == whole
    for cut in (b"", whole[:20], whole[:-1]):
        file.write_bytes(cut)
        assert Inputs(task, load=load, feature_cache=tmp_path)(utterances()[0]).samples


@pytest.mark.parametrize("family", FAMILIES)
def test_cf_k_trains_the_last_layers_of_every_family(family):
    task = build(family)
    layers = task.layers()
    assert len(layers) == tiny_options()["num_hidden_layers"] + 1
    METHODS["cf_k"](layers=2).freeze_parameters(task)
    left = {n for n, p in task.model.named_parameters() if p.requires_grad}
    last = {n for n, _ in task.model.named_parameters() if ".1." in n and ".layer" in n.lower()}
    last = {n for n in last if "feature_extractor" not in n and "pos_conv" not in n}
    assert last
    assert left == last | {"lm_head.weight", "lm_head.bias"}


def test_a_model_with_its_layers_elsewhere_is_refused_in_one_line():
    task = build("wav2vec2")
    encoder = task.model.wav2vec2.encoder
    encoder.blocks = encoder.layers
    del encoder.layers
    with pytest.raises(InputError, match=r"Wav2Vec2ForCTC: .* needs its encoder's .*lm_head"):
        METHODS["cf_k"]().freeze_parameters(task)


@pytest.mark.parametrize("family", FAMILIES)
def test_batches_shorter_than_a_mask_are_trained_on(family):
    task = build(family, mask_time_prob=0.9, mask_time_length=10_000)
    task.model.train()
    batch = collate([Inputs(task, load=load)(u) for u in utterances()])
    assert torch.isfinite(task.losses(batch)).all()
    assert task.model.config.mask_time_prob == 0.9


def test_longer_batches_are_masked():
    parts = ("hidden", "attention", "activation", "feat_proj", "final")
    still = {f"{part}_dropout": 0.0 for part in parts}
    task = build("wav2vec2", mask_time_prob=0.9, mask_time_length=4, **still)
    task.model.train()
    batch = collate([Inputs(task, load=load)(u) for u in utterances()])
    masked, again = (task.losses(batch) for _ in range(2))
    assert not torch.allclose(masked, again)


def test_inputs_are_made_anew_where_the_front_end_is_frozen_meanwhile(tmp_path):
    task = build("wav2vec2")
    inputs = Inputs(task, load=load, feature_cache=tmp_path)
    first = utterances()[0]
    assert inputs(first).input.dim() == 1
    task.freeze_front_end()
    assert inputs(first).input.dim() == 2
    again = Inputs(task, load=load, feature_cache=tmp_path)
    assert again(first).input.dim() == 2
    task.front_end.layers.requires_grad_(True)
    assert again(first).input.dim() == 1
