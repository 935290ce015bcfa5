"""Whisper's vocabulary, spectrogram, prompt and spelling."""

import functools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    Speech2TextConfig,
    Speech2TextForConditionalGeneration,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
)

from asr_unlearn import Stop, unlearn
from asr_unlearn.cli.main import main
from asr_unlearn.data.manifest import Utterance, read_manifest, write_manifest
from asr_unlearn.models.front_ends.log_mel import LogMelFrontEnd
from asr_unlearn.models.loading import ModelError, load_model, model_from_config, save_model
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks import WhisperSeq2Seq, task_for
from asr_unlearn.models.tasks.transcript_spelling import choose_spelling
from asr_unlearn.models.whisper import character_tokenizer
from asr_unlearn.runtime.errors import InputError
from tests.support.tiny_model import tiny_whisper_options
from tests.support.whisper_models import english_whisper, multilingual_whisper
from tests.support.whisper_task import batches, build


def load(utterance):
    return 0.1 * np.random.default_rng(len(utterance.id)).standard_normal(8_000, np.float32)


@pytest.fixture
def task(tmp_path):
    return build(tmp_path)


def test_characters_beyond_ascii_are_spelled():
    tokenizer = character_tokenizer("AÉ日")
    ids = tokenizer("É 日A", add_special_tokens=False).input_ids
    assert len(ids) == 2 + 1 + 3 + 1
    assert tokenizer.decode(ids) == "É 日A"


def test_spectrograms_that_the_model_does_not_hear_are_refused(task, tmp_path):
    task.processor.feature_extractor = WhisperFeatureExtractor(20, chunk_length=2)
    with pytest.raises(ValueError, match="200 frames of 20 mel bands, but the model takes 100"):
        WhisperSeq2Seq(task.model, task.processor)
    odd = WhisperConfig(**(tiny_whisper_options() | {"max_source_positions": 161}))
    odd.save_pretrained(tmp_path / "odd")
    with pytest.raises(ValueError, match="max_source_positions=161 is not a multiple of 50"):
        model_from_config(str(tmp_path / "odd"), "AB", seed=0)
    fitting = WhisperFeatureExtractor(20, hop_length=320, chunk_length=7)
    fitting.save_pretrained(tmp_path / "odd")
    config = json.loads((tmp_path / "odd" / "config.json").read_text())
    (tmp_path / "odd" / "config.json").write_text(
        json.dumps(config | {"max_source_positions": 175})
    )
    model, processor = model_from_config(str(tmp_path / "odd" / "config.json"), "AB", seed=0)
    assert processor.feature_extractor.hop_length == 320
    assert WhisperSeq2Seq(model, processor).front_end.longest == 7 * 16_000


def test_other_encoder_decoders_are_refused(tmp_path):
    config = Speech2TextConfig(
        vocab_size=9, d_model=8, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=8,
        decoder_ffn_dim=8, encoder_attention_heads=1, decoder_attention_heads=1,
    )  # fmt: skip
    config.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="only Whisper is trained from a config"):
        model_from_config(str(tmp_path), "AB", seed=0)
    model = Speech2TextForConditionalGeneration(config)
    processor = WhisperProcessor(WhisperFeatureExtractor(20), character_tokenizer("AB"))
    with pytest.raises(InputError, match=r"Speech2Text\w+ with WhisperFeatureExtractor: "):
        task_for(model, processor)
    with pytest.raises(InputError, match="takes no log-mel spectrograms"):
        LogMelFrontEnd(model, processor.feature_extractor)


@pytest.fixture
def multilingual():
    return multilingual_whisper()


@pytest.mark.parametrize(("language", "code"), [(None, "en"), ("german", "de")])
def test_language_and_task_are_forced_alike_in_training_and_in_generation(
    multilingual, language, code, monkeypatch
):
    model, processor = multilingual
    processor.tokenizer.language = language
    task = WhisperSeq2Seq(model, processor)
    tokens = processor.tokenizer.convert_ids_to_tokens(task.prompt)
    start = "<|startoftranscript|>"
    assert tokens == [start, f"<|{code}|>", "<|transcribe|>", "<|notimestamps|>"]
    begun = []
    whole = type(model).forward

    @functools.wraps(whole)
    def recording(self, *args, **kwargs):
        begun.append(kwargs["decoder_input_ids"])
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(type(model), "forward", recording)
    with torch.no_grad():
        task.score(batches(task, {"a": "ab"})[0])
    trained, generated = begun[:2]
    assert trained[0, :4].tolist() == generated[0].tolist() == task.prompt
    assert task.with_model(model).prompt == task.prompt


def test_english_is_compared_as_whisper_compares_it(multilingual):
    task = WhisperSeq2Seq(*multilingual)
    written = Utterance(id="u", audio=Path("x"), speaker="s", seconds=1.0, text="A colour, it's.")
    assert task.reference(written) == "a color it is"
    shouted = Utterance(id="u", audio=Path("x"), speaker="s", seconds=1.0, text="A CAB")
    spelled = Utterance(id="u", audio=Path("x"), speaker="s", seconds=1.0, text="a cab")
    assert torch.equal(task.target(shouted), task.target(spelled))
    hesitation = Utterance(id="u", audio=Path("x"), speaker="s", seconds=1.0, text="Hmm.")
    assert task.reference(hesitation) == "hmm"
    multilingual[1].tokenizer.language = "german"
    german = WhisperSeq2Seq(*multilingual)
    assert german.reference(written) == "a colour it s"
    assert german.normalises
    assert german.written_reference(written) == "A colour, it's."


def test_a_language_is_for_models_that_have_several(multilingual, task):
    model, processor = multilingual
    assert "<|de|>" in prompt_tokens(task_for(model, processor, language="german"))
    # And is remembered.
    assert "<|de|>" in prompt_tokens(task_for(model, processor))
    with pytest.raises(InputError, match="Unsupported language: klingon; give one of en, zh, de"):
        task_for(model, processor, language="klingon")


def test_a_model_with_characters_of_its_own_is_of_the_language_it_is_said_to_be(task, tmp_path):
    prompt = task.prompt
    for _ in range(2):
        assert task_for(task.model, task.processor, language="German").prompt == prompt
        with pytest.raises(InputError, match="'english': the model transcribes German only"):
            task_for(task.model, task.processor, language="english")
        save_model(task.model, task.processor, tmp_path / "saved")
        model, processor = load_model(str(tmp_path / "saved"))
        task = task_for(model, processor)
    assert task.prompt == prompt


@pytest.fixture(scope="module")
def english():
    return english_whisper()


@pytest.mark.parametrize("language", [None, "english", "en", "English"])
@pytest.mark.parametrize("saved_with", [None, "english"])
def test_english_only_models_take_english_and_refuse_others(english, language, saved_with):
    model, processor = english
    processor.tokenizer.language = saved_with
    task = task_for(model, processor, language=language)
    assert prompt_tokens(task) == ["<|startoftranscript|>", "<|notimestamps|>"]
    assert processor.tokenizer("a").input_ids[:2] == task.prompt
    with pytest.raises(InputError, match="language 'german': the model transcribes English only"):
        task_for(model, processor, language="german")


FORCED = {"forced_decoder_ids": [[1, 50258], [2, 50358], [3, 50362]]}
FORCED_GERMAN = {"forced_decoder_ids": [[1, 50260], [2, 50358], [3, 50362]]}
OLD = {"max_length": 24, "pad_token_id": 50256, "bos_token_id": 50256, "eos_token_id": 50256}
OLD |= {"decoder_start_token_id": 50257, "begin_suppress_tokens": [220, 50256]}


@pytest.mark.parametrize(
    ("in_config", "generation", "language", "code"),
    [
        # Before there were generation configs; those of 2023; without any sign but the size.
        (FORCED, None, None, "en"),
        (FORCED_GERMAN, None, None, "de"),
        ({}, OLD | FORCED | {"_from_model_config": True}, "german", "de"),
        ({}, OLD | FORCED_GERMAN, None, "de"),
        ({}, OLD, None, "en"),
    ],
)
def test_multilingual_models_with_old_configs_get_the_language(
    english, in_config, generation, language, code, tmp_path
):
    old = tmp_path / "old"
    config = WhisperConfig(**tiny_whisper_options(), vocab_size=51865, **OLD, suppress_tokens=None)
    torch.manual_seed(0)
    WhisperForConditionalGeneration(config).save_pretrained(old)
    english[1].tokenizer.language = None
    english[1].save_pretrained(old)
    content = json.loads((old / "config.json").read_text())
    (old / "config.json").write_text(json.dumps(content | in_config))
    (old / "generation_config.json").unlink()
    if generation is not None:
        (old / "generation_config.json").write_text(json.dumps(generation))
    task = task_for(*load_model(str(old)), language=language)
    tokens = [f"<|{name}|>" for name in ("startoftranscript", code, "transcribe", "notimestamps")]
    assert prompt_tokens(task) == tokens
    save_model(task.model, task.processor, tmp_path / "saved")
    assert prompt_tokens(task_for(*load_model(str(tmp_path / "saved")))) == tokens
    for settings in (task.model.config, task.model.generation_config):
        assert getattr(settings, "forced_decoder_ids", None) is None
    # And by transformers alone.
    plain = WhisperForConditionalGeneration.from_pretrained(tmp_path / "saved")
    processor = WhisperProcessor.from_pretrained(tmp_path / "saved")
    begun = []
    plain.model.decoder.register_forward_pre_hook(
        lambda _, __, given: begun.append(given["input_ids"][0].tolist()), with_kwargs=True
    )
    plain.generate(torch.zeros(1, 20, 100), max_new_tokens=2)
    assert begun[0] == task.prompt == processor.tokenizer("a").input_ids[:4]


def prompt_tokens(task):
    return task.tokenizer.convert_ids_to_tokens(task.prompt)


def test_language_and_spelling_are_saved(multilingual, tmp_path):
    task = task_for(*multilingual, language="german")
    save_model(task.model, task.processor, tmp_path)
    assert "<|de|>" in prompt_tokens(task_for(*load_model(str(tmp_path))))
    english = task_for(*multilingual, language="english")
    save_model(english.model, english.processor, tmp_path)
    again = task_for(*load_model(str(tmp_path)))
    written = Utterance(id="u", audio=Path("x"), speaker="s", seconds=1.0, text="A colour.")
    assert again.reference(written) == english.reference(written) == "a color"


def writing(letters, model, processor):
    """The model, made to write these letters whatever it is given."""
    ids = processor.tokenizer.convert_tokens_to_ids(list(letters))
    with torch.no_grad():
        decoder, wanted = model.model.decoder, torch.ones(model.config.d_model)
        decoder.layer_norm.weight.zero_()
        decoder.layer_norm.bias.copy_(wanted)
        decoder.embed_tokens.weight[ids] += wanted
    return model


SPOKEN = [
    Utterance(id=name, audio=Path(name), speaker="s", seconds=0.5, text=text)
    for name, text in {"a": "A CAB", "b": "BAD", "c": "Cab A"}.items()
]


@pytest.mark.parametrize(
    ("letters", "spelling", "spelled"),
    [("ABCD", "upper", "CAB A"), ("abcd", "lower", "cab a")],
)
def test_transcripts_are_spelled_as_the_model_writes_by_its_loss(
    letters, spelling, spelled, multilingual, tmp_path
):
    model = writing(letters, *multilingual).train()
    task = WhisperSeq2Seq(model, multilingual[1])
    assert choose_spelling(task, SPOKEN, load=load) == spelling
    assert model.training
    assert task._text(task.target(SPOKEN[2])[:-1].tolist()) == spelled
    # References are compared without case by this vocabulary.
    assert task.reference(SPOKEN[2]) == "cab a"
    # Once for the model: neither other utterances nor another task choose again.
    assert choose_spelling(task.with_model(model), SPOKEN[:1], load=load) == spelling
    save_model(model, multilingual[1], tmp_path)
    again = task_for(*load_model(str(tmp_path)))
    assert choose_spelling(again, [], load=load) == spelling
    assert torch.equal(again.target(SPOKEN[2]), task.target(SPOKEN[2]))
    assert choose_spelling(again, [], "as_given", load=load) == "as_given"
    assert again._text(again.target(SPOKEN[2])[:-1].tolist()) == "Cab A"


def test_a_model_made_elsewhere_is_evaluated_in_its_spelling_and_left_as_it_is(
    multilingual, tmp_path, monkeypatch
):
    model, processor = multilingual
    save_model(writing("ABCD", model, processor), processor, tmp_path)
    monkeypatch.setattr("asr_unlearn.models.feature_cache.load_audio", lambda path: load(SPOKEN[0]))
    saved = SavedModel("made elsewhere", 0, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    spelled = saved.spelled(SPOKEN, torch.device("cpu"))
    assert spelled.task(torch.device("cpu")).spelling == "upper"
    # Its predictions with a window are cached under another digest than without.
    assert spelled.files() == saved.files() | {"spelling": "upper"}
    assert sorted(tmp_path.rglob("*")) == before


def test_a_character_vocabulary_of_one_case_spells_target_and_reference_so(task):
    """It cannot spell the transcripts as they are given."""
    spoken = [replace(u, text=u.text.lower()) for u in SPOKEN]
    with pytest.raises(InputError, match="the vocabulary cannot spell 'a cab'"):
        task.target(spoken[0])
    assert choose_spelling(task, spoken, load=load) == "upper"
    assert task.reference(spoken[0]) == "A CAB"
    assert torch.equal(task.target(spoken[0]), task.target(SPOKEN[0]))


def test_unlearning_in_memory_chooses_the_spelling(task):
    forget, retain, _ = (replace(u, text=u.text.lower()) for u in SPOKEN)
    waves = {u.id: load(u) for u in SPOKEN}
    options = {"method": "finetune", "stop": Stop(rule="steps"), "epochs": 1.0}
    unlearn(task.model, task.processor, forget=[forget], retain=[retain], audio=waves, **options)
    assert task.model.config.transcript_spelling == "upper"


def test_every_command_chooses_the_spelling(task, corpus, tmp_path):
    manifest, divided, original = (tmp_path / n for n in ("m.jsonl", "split.json", "original"))
    spoken = read_manifest(corpus / "manifest.jsonl")
    write_manifest(manifest, [replace(u, text=u.text.lower()) for u in spoken])
    save_model(task.model, task.processor, original)
    main(["split", "--manifest", str(manifest), "--out", str(divided), "--draw", "1"])
    data = ["--manifest", str(manifest), "--split", str(divided)]
    run = [*data, "--model", str(original)]
    main(["train", *run, "--out", str(tmp_path / "tuned"), "--finetune.epochs", "0.2"])
    flags = ["--method", "finetune", "--method.epochs", "0.2", "--stop.rule", "steps"]
    main(["unlearn", *run, *flags, "--out", str(tmp_path / "unlearned")])
    for name in ("tuned", "unlearned"):
        config = json.loads((tmp_path / name / "config.json").read_text())
        assert config["transcript_spelling"] == "upper"
    main(["tune", *run, *flags, "--trials", "1", "--out", str(tmp_path / "journal")])
    main(["evaluate", *data, "--models", "original", "--out", str(tmp_path / "results.json")])
    assert "transcript_spelling" not in json.loads((original / "config.json").read_text())


def test_where_nothing_tells_spellings_apart_none_is_recorded(task):
    assert choose_spelling(task, [replace(SPOKEN[0], text="1 2")], load=load) is None
    assert not hasattr(task.model.config, "transcript_spelling") or task.spelling is None


def test_labels_beyond_the_decoders_vocabulary_are_named(task):
    processor = WhisperProcessor(
        task.processor.feature_extractor, character_tokenizer("ABCDEFGHIJ")
    )
    wrong = WhisperSeq2Seq(task.model, processor)
    with pytest.raises(InputError, match=r"a: the head has 10 outputs, .* has the label 15"):
        wrong.target(SPOKEN[0])


@pytest.mark.parametrize("options", [{"temperature": 0.7}, {"early_stopping": True}])
def test_a_generation_config_that_transformers_would_not_save_is_kept(tmp_path, options):
    task = build(tmp_path / "config")
    given = task.model.generation_config
    save_model(task.model, task.processor, tmp_path / "whisper")
    path = tmp_path / "whisper" / "generation_config.json"
    written = {**json.loads(path.read_text()), **options}
    path.write_text(json.dumps(written))
    assert given is task.model.generation_config
    model, processor = load_model(str(tmp_path / "whisper"))
    save_model(model, processor, tmp_path / "again")
    again = json.loads((tmp_path / "again" / "generation_config.json").read_text())
    assert again == written
