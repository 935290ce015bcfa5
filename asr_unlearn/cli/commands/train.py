"""Fine-tune a model, or train it from scratch; retraining is the same without `forget`."""

from asr_unlearn.api.training import train
from asr_unlearn.cli.command import Command, print_once

COMMAND = Command(
    train,
    "asr-unlearn train --manifest out/manifest.jsonl --split out/split.json "
    "--model facebook/wav2vec2-base --parts retain --out out/retrained "
    "--finetune.epochs 20 --finetune.lr 1e-4",
    print_once,
    in_several_processes=True,
)
