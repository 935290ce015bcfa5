"""Which utterances the probe of the encoder's states is trained on, and what it finds."""

from collections import Counter
from typing import Any

import numpy as np
import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.evaluation.predictions import mean_states
from asr_unlearn.metrics.speaker_probe import probe
from asr_unlearn.models.saved_model import SavedModel

# Of the retain speakers at most so many, with so many utterances each.
SPEAKERS, UTTERANCES = 100, 40


def probe_speakers(
    model: SavedModel, corpus: Corpus, *, device: torch.device
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return how often a linear probe names the speaker, and the 95% intervals.

    Both are empty where no speakers are forgotten, or they have too few utterances.
    """
    if not corpus.split.forget_speakers:
        return {}, {}
    utterances = probed_utterances(corpus)
    states = mean_states(model, utterances, device=device)
    speakers = [u.speaker for u in utterances]
    found = probe(states, speakers, set(corpus.split.forget_speakers))
    if found is None:
        return {}, {}
    figures = {
        "probe_forget": found.forget,
        "probe_retain": found.retain,
        "chance": found.chance,
    }
    intervals = {"probe_forget": found.forget_interval, "probe_retain": found.retain_interval}
    return figures, {name: list(bounds) for name, bounds in intervals.items() if bounds}


def probed_utterances(corpus: Corpus) -> list[Utterance]:
    """Return the forget utterances and those of some retain speakers, drawn by the split's seed."""
    rng = np.random.default_rng(corpus.split.seed)
    retain = corpus.part("retain")
    names = sorted({u.speaker for u in retain})
    chosen = set(rng.permutation(names)[:SPEAKERS].tolist())
    counts: Counter[str] = Counter()
    utterances = list(corpus.part("forget"))
    for index in rng.permutation(len(retain)):
        speaker = retain[index].speaker
        if speaker in chosen and counts[speaker] < UTTERANCES:
            counts[speaker] += 1
            utterances.append(retain[index])
    return utterances
