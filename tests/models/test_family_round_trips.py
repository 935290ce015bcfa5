"""A folder as a class itself saves it: fine-tuned, unlearned, and read again by the class."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
import transformers
from transformers import (
    ASTFeatureExtractor,
    AutoFeatureExtractor,
    AutoProcessor,
    GraniteSpeech5FeatureExtractor,
    GraniteSpeech5Processor,
    LasrFeatureExtractor,
    LasrProcessor,
    OmniASRCTCProcessor,
    OmniASRFeatureExtractor,
    ParakeetFeatureExtractor,
    ParakeetProcessor,
    SeamlessM4TFeatureExtractor,
    Speech2TextFeatureExtractor,
    Speech2TextProcessor,
    Wav2Vec2BertProcessor,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)

from asr_unlearn import Stop, train, unlearn
from asr_unlearn.data.audio import load_audio
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import score
from asr_unlearn.models.loading import load_model
from asr_unlearn.models.processors import ctc_tokenizer
from asr_unlearn.models.tasks import task_for
from tests.support import subword_tokenizers
from tests.support.tiny_families import CONFORMER, tiny_family

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths"),
    pytest.mark.filterwarnings("ignore:no rule gives the per-utterance gradients"),
]

SPEAKERS = [f"s{i}" for i in range(7)]


def stacked_mels():
    return SeamlessM4TFeatureExtractor(feature_size=16, num_mel_bins=16)


def speech_to_text():
    with TemporaryDirectory() as folder:
        tokenizer = subword_tokenizers.speech_to_text(Path(folder))
    extractor = Speech2TextFeatureExtractor(feature_size=16, num_mel_bins=16)
    return Speech2TextProcessor(extractor, tokenizer)


# The class, its family, its processor, and the settings that differ from the tiny ones.
FAMILIES = {
    "Wav2Vec2BertForCTC": (
        "wav2vec2-bert",
        lambda: Wav2Vec2BertProcessor(stacked_mels(), ctc_tokenizer("ABCD")),
        {"vocab_size": 7},
    ),
    "ParakeetForCTC": (
        "parakeet_ctc",
        lambda: ParakeetProcessor(
            ParakeetFeatureExtractor(feature_size=16), subword_tokenizers.parakeet()
        ),
        {},
    ),
    "LasrForCTC": (
        "lasr_ctc",
        lambda: LasrProcessor(LasrFeatureExtractor(feature_size=16), subword_tokenizers.lasr()),
        # With the family's stride of 4 the corpus has too few frames for its transcripts.
        {"vocab_size": 13, "encoder_config": CONFORMER | {"subsampling_conv_stride": 1}},
    ),
    "GraniteSpeech5ForCTC": (
        "granite_speech5_ctc",
        lambda: GraniteSpeech5Processor(
            GraniteSpeech5FeatureExtractor(num_mel_bins=16), subword_tokenizers.parakeet()
        ),
        {},
    ),
    "OmniASRForCTC": (
        "omniasr_ctc",
        lambda: OmniASRCTCProcessor(OmniASRFeatureExtractor(), subword_tokenizers.omniasr()),
        {"vocab_size": 14},
    ),
    "Wav2Vec2BertForSequenceClassification": (
        "wav2vec2-bert",
        stacked_mels,
        {"num_labels": len(SPEAKERS)},
    ),
    "ASTForAudioClassification": (
        "audio-spectrogram-transformer",
        lambda: ASTFeatureExtractor(num_mel_bins=16, max_length=100),
        {"num_labels": len(SPEAKERS)},
    ),
    "MoonshineForConditionalGeneration": (
        "moonshine",
        lambda: Wav2Vec2Processor(
            Wav2Vec2FeatureExtractor(do_normalize=False), subword_tokenizers.encoder_decoder()
        ),
        {},
    ),
    "Speech2TextForConditionalGeneration": (
        "speech_to_text",
        speech_to_text,
        {"vocab_size": 12},
    ),
}


def hub_folder(folder, name):
    """The folder of a model with random weights, as its class and processor save it."""
    kind, make_processor, changes = FAMILIES[name]
    torch.manual_seed(0)
    config = tiny_family(kind, **changes)
    if "num_labels" in changes:
        config.id2label = dict(enumerate(SPEAKERS))
        config.label2id = {speaker: i for i, speaker in enumerate(SPEAKERS)}
    model = getattr(transformers, name)(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    make_processor().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", FAMILIES)
def test_a_saved_folder_is_fine_tuned_unlearned_and_read_again(name, corpus, tmp_path):
    files = {"manifest": corpus / "manifest.jsonl", "split": corpus / "split.json"}
    source = hub_folder(tmp_path / "hub", name)
    theirs = getattr(transformers, name).from_pretrained(source)
    options = Finetune(epochs=0.5, retain_batch=8, lr=1e-3)
    train(**files, model=source, out=tmp_path / "original", finetune=options, device="cpu")
    unlearn(
        tmp_path / "original",
        **files,
        out=tmp_path / "unlearned",
        method="orthograd",
        stop=Stop(rule="steps"),
        epochs=0.5,
        lr=1e-3,
        device="cpu",
    )
    changed = []
    for folder in ("original", "unlearned"):
        weights = getattr(transformers, name).from_pretrained(tmp_path / folder).eval()
        pairs = zip(weights.named_parameters(), theirs.parameters(), strict=True)
        changed += [n for (n, p), before in pairs if not torch.equal(p, before)]
        theirs = weights
    # Both times a weight of the encoder's last layer has changed.
    assert len([n for n in changed if "layers.1." in n and n.endswith("weight")]) > 1
    check_predictions(theirs, tmp_path / "unlearned", Corpus.read(**files).part("forget"))


@pytest.mark.parametrize("name", FAMILIES)
def test_extractor_and_tokenizer_saved_apart_make_the_same_processor(name, tmp_path):
    """As most folders on the Hub have them, which are older than processor_config.json."""
    hub_folder(tmp_path, name)
    _, together = load_model(str(tmp_path))
    for path in (*tmp_path.glob("processor_config.json"), *tmp_path.glob("preprocessor*")):
        path.unlink()
    getattr(together, "feature_extractor", together).save_pretrained(tmp_path)
    assert (tmp_path / "preprocessor_config.json").is_file()
    task = task_for(*load_model(str(tmp_path)))
    assert type(task.processor) is type(together)
    assert type(task.front_end.extractor) is type(getattr(together, "feature_extractor", together))
    if not task.one_label:
        assert type(task.processor.tokenizer) is type(together.tokenizer)
        assert task.processor.tokenizer.get_vocab() == together.tokenizer.get_vocab()


def check_predictions(theirs, folder, utterances):
    """Ours are those of transformers' own calls."""
    task = task_for(*load_model(str(folder)))
    ours = score(task, Inputs(task), utterances)
    assert all(np.isfinite(s.loss) for s in ours)
    reader = AutoFeatureExtractor if task.one_label else AutoProcessor
    processor = reader.from_pretrained(folder)
    for scored, utterance in zip(ours, utterances, strict=True):
        wave = load_audio(utterance.audio)
        inputs = processor(wave, sampling_rate=16_000, return_tensors="pt")
        with torch.no_grad():
            assert scored.hypothesis == predicted(theirs, processor, inputs)


def predicted(model, processor, inputs):
    """The class or the transcript, as the documentation of transformers shows for each class."""
    name = type(model).__name__
    if "Classification" in name:
        return model.config.id2label[int(model(**inputs).logits[0].argmax())]
    if name == "Wav2Vec2BertForCTC":
        # It may have a last frame of padding.
        own = model(**inputs).logits[0][: inputs.attention_mask.sum()]
        return processor.decode(own.argmax(-1))
    longest = {} if name.endswith("CTC") else {"max_length": 24}
    tokens = model.generate(**inputs, **longest)[0]
    return processor.decode(tokens, skip_special_tokens=True).strip()
