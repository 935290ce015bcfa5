"""A corpus, three models and an evaluation with all attacks, for tests of the attacks."""

import torch

from asr_unlearn.cli.main import main
from asr_unlearn.evaluation.results import read_results
from asr_unlearn.models.run_record import read_run

CPU = torch.device("cpu")
MODELS = "original,retrained,forgotten"
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
    return _entries(data, MODELS, "r.json", FLAGS)


def measured(data, measures, models=MODELS):
    """The entries, by name, of an evaluation with these measures alone."""
    return _entries(data, models, "measured.json", ["--measures", measures])


def _entries(data, models, out, flags):
    results = data.cache / out
    main(["evaluate", *of(data), "--models", models, "--out", str(results), *flags])
    return {entry["name"]: entry for entry in read_results(results).record["models"]}


def run_of(folder):
    return read_run(folder)
