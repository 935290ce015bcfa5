"""Jobs of every kind, killed at file operations all through and at random moments.

Run again, each leaves what it leaves without a kill, bit for bit, and nothing else. A point is a
kill with SIGKILL; the counts are in docs/reliability.md.
"""

import json
import random
import shutil
import time
from functools import partial

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from asr_unlearn.cli import stages
from asr_unlearn.cli.main import main
from asr_unlearn.cli.plan import RecipeStep
from asr_unlearn.cli.prepare import prepare
from asr_unlearn.training.trainer import Training
from asr_unlearn.training.tune import finished
from tests.support.kill_points import ended, forked, killed_after, killed_at, operations

pytestmark = pytest.mark.slow

# File operations and random moments for each kind of job; together more than 200.
POINTS = {
    "prepare": (10, 5),
    "split": (8, 12),
    "train": (50, 10),
    "unlearn": (50, 10),
    "tune": (12, 4),
    "evaluate": (40, 8),
    "attacks": (8, 2),
    "report": (10, 5),
}
# Of run.json and results.json: when, how long, and how much.
VOLATILE = {
    *(
        "salt",
        "created",
        "seconds",
        "unlearn_seconds",
        "peak_bytes",
        "cost",
        "command",
        "stopped_seconds",
    ),
    *("relative_to_retraining", "versions", "salt"),
    # Of a deletion record: digests of results, which have times.
    *("digest", "results"),
}
STEPS = ["--finetune.epochs", "2", "--finetune.retain_batch", "8"]
METHOD = ["--method", "gradient_ascent", "--method.lr", "1e-3", "--method.forget_batch", "2"]


def argv_of(kind, folder, config):
    data = ["--manifest", folder / "manifest.jsonl", "--split", folder / "split.json"]
    match kind:
        case "prepare":
            columns = ["--audio", "audio", "--speaker", "speaker", "--text", "text"]
            table = ["prepare", "table", "--data", folder / "manifest.jsonl", *columns]
            return [*table, "--out", folder / "new" / "manifest.jsonl"]
        case "split":
            return ["split", *data[:2], "--draw", "2", "--out", folder / "new.json"]
        case "train":
            return ["train", *data, "--model", config, "--out", folder / "made", *STEPS]
        case "unlearn":
            stop = ["--stop.rule", "steps", "--method.epochs", "2"]
            model = folder / "original"
            return ["unlearn", *data, "--model", model, "--out", folder / "made", *METHOD, *stop]
        case "tune":
            searched = ["--method", "gradient_ascent", "--method.forget_batch", "4"]
            stop = ["--stop.rule", "steps", "--trials", "3"]
            model = folder / "original"
            return ["tune", *data, "--model", model, "--out", folder / "journal", *searched, *stop]
        case "evaluate" | "attacks":
            more = ["--measures", "relearning", "--informed", "1", "--workers", "1"]
            more = more if kind == "attacks" else []
            models = "original,retrained,unlearned"
            return ["evaluate", *data, "--models", models, "--out", folder / "results.json", *more]
        case _:
            return ["report", "--results", folder / "results.json"]


@pytest.fixture(scope="module")
def prepared(corpus, tiny_config, tmp_path_factory):
    """A folder with models, and one with their evaluation."""
    folder = tmp_path_factory.mktemp("prepared")
    before, after = folder / "models", folder / "evaluated"
    shutil.copytree(corpus, before)

    def make():
        data = ["--manifest", before / "manifest.jsonl", "--split", before / "split.json"]
        for name, parts in (("original", "retain,forget"), ("retrained", "retain")):
            train = ["train", *data, "--model", tiny_config, "--parts", parts, *STEPS]
            main([*map(str, train), "--out", str(before / name)])
        steps = ["--stop.rule", "steps", "--method.epochs", "1"]
        unlearn = ["unlearn", *data, "--model", before / "original", *METHOD, *steps]
        main([*map(str, unlearn), "--out", str(before / "unlearned")])
        shutil.copytree(before, after)
        main([str(word) for word in argv_of("evaluate", after, tiny_config)])

    assert ended(forked(make)) == 0
    return before, after


def lasting(value):
    if isinstance(value, dict):
        return {k: lasting(v) for k, v in value.items() if k not in VOLATILE}
    return [lasting(v) for v in value] if isinstance(value, list) else value


def trials(journal):
    """The options and costs of the complete trials: a killed one stays in the journal, unused."""
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
    study = optuna.load_study(study_name=None, storage=storage)
    return [(trial.params, trial.value) for trial in finished(study)]


def outcome(folder):
    """What a job leaves, without times: the content of every file by its name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or name.endswith((".lock", ".key", ".html", ".md", ".begun")):
            continue
        if path.name in ("run.json", "results.json", "deletion_record.json", "new.json"):
            found[name] = json.dumps(lasting(json.loads(path.read_text())))
        elif path.name == "journal":
            found[name] = json.dumps(trials(path))
        elif path.name == "metrics.jsonl":
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            found[name] = json.dumps(lasting(rows))
        else:
            found[name] = path.read_bytes()
    return found


@pytest.mark.parametrize("kind", POINTS)
def test_a_job_that_was_killed_ends_as_if_it_had_not_been(
    kind, prepared, tiny_config, tmp_path, record_property, monkeypatch
):
    # A checkpoint after every step.
    defaults = {**Training.__init__.__kwdefaults__, "checkpoint_seconds": 0.0}
    monkeypatch.setattr(Training.__init__, "__kwdefaults__", defaults)
    before = prepared[kind == "report"]
    folder = tmp_path / "job"
    argv = [str(word) for word in argv_of(kind, folder, tiny_config)]
    # A model as a stage of a recipe, which knows whether a killed run has published it.
    stage = RecipeStep(5, "made", argv, [folder / "manifest.jsonl"], folder / "made")
    trains = kind in ("train", "unlearn")
    job = partial(stages.run_stage, stage, folder) if trains else partial(main, argv)
    if kind == "prepare":
        job = partial(prepare, argv[1:])

    def afresh():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(before, folder)

    afresh()
    began = time.monotonic()
    count = operations(job, folder, tmp_path / "count")
    lasted = time.monotonic() - began
    expected = outcome(folder)

    at_operations, at_moments = POINTS[kind]
    chosen = [count * i // at_operations for i in range(at_operations)]
    kills = [partial(killed_at, job, folder, operation) for operation in chosen]
    drawn = random.Random(0)
    kills += [partial(killed_after, job, drawn.uniform(0, lasted)) for _ in range(at_moments)]
    points = 0
    for number, kill in enumerate(kills):
        afresh()
        points += kill()
        assert ended(forked(job)) == 0, f"kill {number}: the job does not go on"
        found = outcome(folder)
        assert found.keys() == expected.keys(), f"kill {number}"
        differing = [name for name in expected if found[name] != expected[name]]
        assert not differing, f"kill {number}"
    record_property("points", points)
    print(f"{kind}: {points} kills, {count} file operations")
    assert points >= at_operations * 0.9
