"""Models converted as docs/models.md shows, to CTranslate2 and to ONNX, predict the same."""

import json
from pathlib import Path

import ctranslate2
import numpy as np
import onnxruntime
import pytest
import torch
from ctranslate2.converters import transformers as converter
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import score
from asr_unlearn.models.loading import save_model
from asr_unlearn.models.processors import character_processor
from tests.support.pages import DOCS, block_of, commands
from tests.support.tiny_model import tiny_options, tiny_whisper_options
from tests.support.whisper_models import multilingual_whisper
from tests.support.whisper_task import build, load, utterances

FOLDER = Path("out/unlearned")
CT2 = Path("out/ct2")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def converted(monkeypatch):
    """The model of `FOLDER` by the commands of the documentation."""
    (command,) = [c for c in commands(DOCS / "models.md") if c[0] == "ct2-transformers-converter"]
    with monkeypatch.context() as patched:
        patched.setattr("sys.argv", command)
        converter.main()
    exec(block_of("models.md", "AutoFeatureExtractor"), {})
    return ctranslate2.models.Whisper(str(CT2), device="cpu", compute_type="float32")


@pytest.mark.filterwarnings("ignore")
def test_ctranslate2_writes_the_same_transcripts(monkeypatch):
    task = build(Path("config"))
    save_model(task.model, task.processor, FOLDER)
    model = converted(monkeypatch)
    # CTranslate2 writes half as many tokens as are asked for.
    tokens = 2 * (tiny_whisper_options()["max_target_positions"] - len(task.prompt))
    found = {}
    for utterance in utterances():
        spectrogram = task.processor.feature_extractor(
            load(utterance), sampling_rate=16_000, return_tensors="np"
        ).input_features
        (written,) = model.generate(
            ctranslate2.StorageView.from_array(spectrogram),
            [task.prompt],
            beam_size=1,
            max_length=tokens,
        )
        found[utterance.id] = task.processor.decode(written.sequences_ids[0]).strip()
    ours = score(task, Inputs(task, load=load), utterances())
    assert found == {scored.utterance.id: scored.hypothesis for scored in ours}
    assert len(set(found.values())) == len(utterances()) > 1


@pytest.mark.filterwarnings("ignore")
def test_ctranslate2_keeps_vocabulary_languages_suppressed_tokens_and_mel_bands(monkeypatch):
    whisper, processor = multilingual_whisper()
    save_model(whisper, processor, FOLDER)
    model = converted(monkeypatch)
    settings = whisper.generation_config
    kept = json.loads((CT2 / "config.json").read_text())
    assert kept["lang_ids"] == sorted(settings.lang_to_id.values())
    assert kept["suppress_ids"] == settings.suppress_tokens
    ids = processor.tokenizer.get_vocab()
    assert json.loads((CT2 / "vocabulary.json").read_text()) == sorted(ids, key=ids.__getitem__)
    assert (CT2 / "tokenizer.json").read_bytes() == (FOLDER / "tokenizer.json").read_bytes()
    extractor = json.loads((CT2 / "preprocessor_config.json").read_text())
    assert model.n_mels == extractor["feature_size"] == 20


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_onnx_gives_the_same_logits(norm):
    torch.manual_seed(0)
    processor = character_processor("ABCD", attention_mask=False)
    size = {"vocab_size": len(processor.tokenizer), "pad_token_id": 0}
    model = Wav2Vec2ForCTC(Wav2Vec2Config(**tiny_options(), **size, feat_extract_norm=norm)).eval()
    save_model(model, processor, FOLDER)
    exec(block_of("models.md", "torch.onnx.export"), {})
    session = onnxruntime.InferenceSession("out/unlearned.onnx", providers=["CPUExecutionProvider"])
    for shape in ((1, 5_000), (1, 23_456), (3, 16_000)):
        waves = torch.randn(shape)
        with torch.no_grad():
            ours = model(waves).logits.numpy()
        (found,) = session.run(None, {"input_values": waves.numpy()})
        assert found.size > 0
        assert np.ptp(ours) > 0.01
        np.testing.assert_allclose(found, ours, atol=1e-5)
