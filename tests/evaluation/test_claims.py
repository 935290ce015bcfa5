"""Figures of models that have not forgotten, on a small recogniser that is really trained.

Attacks on noise and on planted leaks are tested in tests/metrics/mia, the probe on noise in
tests/metrics/test_speaker_probe.py.
"""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2Config

from asr_unlearn.cli.main import main
from asr_unlearn.data.make_split import make_split
from asr_unlearn.data.manifest import Utterance, write_manifest
from asr_unlearn.data.split_file import write_split
from tests.support.flags import flags
from tests.support.tiny_model import tiny_options

# A letter is a tone of a tenth of a second; speakers differ in pitch by a few per cent.
TONES = {"A": 500, "B": 1100, "C": 2300, "D": 3600, " ": 0}


def spoken(text, pitch, rng):
    time = np.arange(1600) / 16_000
    tones = [np.sin(2 * np.pi * TONES[c] * pitch * time) * np.hanning(1600) for c in text]
    wave = 0.3 * np.concatenate(tones)
    return (wave + 0.003 * rng.standard_normal(len(wave))).astype("float32")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """An original, the model retrained, the original renamed, and the original plus noise."""
    out = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    utterances = []
    for speaker in range(8):
        for number in range(4):
            words = ["".join(rng.choice(list("ABCD"), size)) for size in (3, 2)]
            text, path = " ".join(words), out / f"s{speaker}-{number}.wav"
            wave = spoken(text, 1 + 0.004 * (speaker - 4), rng)
            soundfile.write(path, wave, 16_000)
            utterances.append(
                Utterance(
                    id=path.stem,
                    audio=path,
                    speaker=f"s{speaker}",
                    seconds=len(wave) / 16_000,
                    text=text,
                    subset="test" if speaker == 7 else "train",
                )
            )
    write_manifest(out / "manifest.jsonl", utterances)
    split = make_split(utterances, ["s0", "s1"], seed=0, heldout=0.25, unseen=0.2)
    write_split(out / "split.json", split, out / "manifest.jsonl")
    config = tiny_options() | {
        "conv_dim": (32, 24, 24),
        "conv_kernel": (256, 8, 4),
        "conv_stride": (40, 4, 4),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "do_stable_layer_norm": True,
        "mask_time_prob": 0.0,
    }
    config |= {f"{kind}_dropout": 0.0 for kind in ("hidden", "attention", "activation", "final")}
    small = Wav2Vec2Config(**config, feat_extract_norm="layer", conv_bias=True)
    small.save_pretrained(out / "config")
    data = ["--manifest", str(out / "manifest.jsonl"), "--split", str(out / "split.json")]
    for name, parts in (("original", "retain,forget"), ("retrained", "retain")):
        argv = ["train", *data, "--model", str(out / "config"), "--parts", parts]
        options = flags("finetune", epochs=40, lr=4e-3, retain_batch=6)
        main([*argv, "--filterbank", "true", "--out", str(out / name), *options])
    shutil.copytree(out / "original", out / "renamed")
    shutil.copytree(out / "original", out / "noise")
    torch.manual_seed(0)
    weights = load_file(out / "noise" / "model.safetensors")
    noisy = {n: w + 0.5 * w.std(correction=0) * torch.randn_like(w) for n, w in weights.items()}
    save_file(noisy, out / "noise" / "model.safetensors", metadata={"format": "pt"})
    models = "original,retrained,renamed,noise"
    argv = ["evaluate", *data, "--models", models, "--out", str(out / "results.json")]
    main(argv)
    entries = json.loads((out / "results.json").read_text())["models"]
    return {entry["name"]: entry for entry in entries}


def test_the_recogniser_transcribes_its_speakers(evaluated):
    original, retrained = evaluated["original"], evaluated["retrained"]
    assert original["wer"]["forget"] == original["wer"]["retain"] == retrained["wer"]["retain"] == 0
    assert retrained["loss"]["forget"] > 5 * original["loss"]["forget"]


def test_a_new_name_forgets_nothing(evaluated):
    original, renamed = evaluated["original"], evaluated["renamed"]
    for figure in ("wer", "loss", "gap_to_retrained", "divergence", "membership"):
        assert renamed[figure] == original[figure]


def test_noise_on_all_weights_is_damage_not_forgetting(evaluated):
    """The WER of the forget speakers is high and no attack finds them, but all other speakers have
    a high WER too: the gaps to the retrained model show it."""
    original, noise = evaluated["original"], evaluated["noise"]
    assert noise["wer"]["forget"] > evaluated["retrained"]["wer"]["forget"]
    gaps = {name: evaluated[name]["gap_to_retrained"] for name in ("original", "noise")}
    for part in ("retain", "test"):
        assert gaps["noise"]["wer"][part] > 0.3
        assert gaps["noise"]["wer"][part] > abs(gaps["original"]["wer"][part])
    assert gaps["noise"]["avg_d"] > gaps["original"]["avg_d"]
    assert gaps["noise"]["tow"] < 0.5 * gaps["original"]["tow"]
    assert noise["divergence"]["kl_test"] > original["divergence"]["kl_test"]
