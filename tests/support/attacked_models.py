"""A corpus, three models and an evaluation with all attacks, for tests of the attacks."""

import torch

from asr_unlearn.cli.main import main
from asr_unlearn.evaluation.results import read_results
from asr_unlearn.models.run_record import read_run

CPU = torch.device("cpu")
FLAGS = ["--informed", "2", "--shadows", "2", "--unlearn_shadows", "true"]
FLAGS += ["--measures", "relearning,quantisation", "--neighbours", "true"]
FLAGS += ["--workers", "1"]


def of(data):
    return [
        "--manifest",
        str(data.cache / "manifest.jsonl"),
        "--split",
        str(data.cache / "split.json"),
    ]


def evaluate(data):
    models = "original,retrained,forgotten"
    main(["evaluate", *of(data), "--models", models, "--out", str(data.cache / "r.json"), *FLAGS])
    entries = read_results(data.cache / "r.json").record["models"]
    return {entry["name"]: entry for entry in entries}


def run_of(folder):
    return read_run(folder)
