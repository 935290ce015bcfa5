"""A tiny Whisper that says something else of every utterance, and utterances for it."""

from pathlib import Path

import numpy as np
import torch
from transformers import WhisperConfig

from asr_unlearn.data.batching import collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import model_from_config
from asr_unlearn.models.tasks import task_for
from tests.support.tiny_model import tiny_whisper_options

WAVES = {"a": 9_000, "b": 5_500, "c": 7_321, "d": 16_000}
TEXTS = {"a": "AB CAD", "b": "A", "c": "DAD CAB AB", "d": "BAD"}


def build(folder):
    WhisperConfig(**tiny_whisper_options()).save_pretrained(folder)
    model, processor = model_from_config(str(folder), "ABCD", seed=3)
    with torch.no_grad():
        # Or it would say the same letter again and again.
        model.model.decoder.embed_positions.weight.normal_(std=1.6)
    return task_for(model.eval(), processor)


def utterances(texts=TEXTS):
    return [
        Utterance(id=name, audio=Path(name), speaker="s", seconds=WAVES[name] / 16_000, text=text)
        for name, text in texts.items()
    ]


def load(utterance):
    rng = np.random.default_rng(WAVES[utterance.id])
    return 0.1 * rng.standard_normal(WAVES[utterance.id]).astype(np.float32)


def batches(task, texts=TEXTS):
    examples = [Inputs(task, load=load)(u) for u in utterances(texts)]
    return collate(examples), [collate([e]) for e in examples]
