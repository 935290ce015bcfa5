"""A request for which only the forget speakers' own recordings are at hand, and unseen speakers."""

import json

import pytest

from asr_unlearn.cli.main import main
from asr_unlearn.data.split_file import read_split
from asr_unlearn.evaluation.results import read_results
from asr_unlearn.runtime.errors import InputError


@pytest.fixture(scope="module")
def request_alone(corpus, tiny_config, tmp_path_factory):
    """A manifest of the forget and the unseen speakers of a corpus, and the model trained on it."""
    folder = tmp_path_factory.mktemp("request")
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    train = ["train", *data, "--model", str(tiny_config), "--finetune.epochs", "2"]
    main([*train, "--out", str(folder / "original")])
    split = read_split(corpus / "split.json", corpus / "manifest.jsonl")
    rows = [json.loads(line) for line in (corpus / "manifest.jsonl").read_text().splitlines()]
    kept = [
        {**row, "audio": str(corpus / row["audio"]), **({} if own else {"subset": "dev"})}
        for row in rows
        if (own := row["speaker"] in split.forget_speakers)
        or row["speaker"] in split.unseen_speakers
    ]
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    (folder / "forget.txt").write_text("\n".join(split.forget_speakers))
    return folder


def of(folder):
    return ["--manifest", str(folder / "manifest.jsonl"), "--split", str(folder / "split.json")]


def test_it_is_split_unlearned_evaluated_and_reported(request_alone, caplog):
    folder = request_alone
    forget = ["--forget", str(folder / "forget.txt"), "--out", str(folder / "split.json")]
    main(["split", "--manifest", str(folder / "manifest.jsonl"), *forget])
    assert "no speaker is retained" in caplog.text
    parts = read_split(folder / "split.json", folder / "manifest.jsonl").parts
    assert not parts["retain"]
    assert not parts["test"]
    assert parts["forget"]
    assert parts["unseen"]

    unlearn = ["unlearn", *of(folder), "--model", str(folder / "original")]
    unlearn += ["--stop.rule", "steps", "--method.epochs", "1"]
    for method, option in (
        ("gradient_ascent", []),
        ("npo", ["--method.alpha", "0", "--method.lr", "1e-4"]),
        ("simnpo", ["--method.alpha", "0"]),
    ):
        main([*unlearn, "--method", method, *option, "--out", str(folder / method)])
    names = "original,gradient_ascent,npo,simnpo"
    results = folder / "results.json"
    evaluate = ["evaluate", *of(folder), "--models", names, "--out", str(results)]
    main([*evaluate, "--measures", "relearning,quantisation", "--workers", "1"])
    for entry in read_results(results).record["models"]:
        assert entry["wer"].keys() >= {"forget", "unseen"}
        assert "retain" not in entry["wer"]
        assert "retain_loss" not in entry["relearning"]
    main(["report", "--results", str(results)])
    assert "simnpo" in (folder / "report.md").read_text()


@pytest.mark.parametrize(
    ("method", "options"), [("orthograd_tau", []), ("npo", []), ("msa", ["--stop.rule", "steps"])]
)
def test_methods_that_need_others_are_refused_by_name(request_alone, method, options):
    folder = request_alone
    forget = ["--forget", str(folder / "forget.txt"), "--out", str(folder / "split.json")]
    main(["split", "--manifest", str(folder / "manifest.jsonl"), *forget])
    argv = ["unlearn", *of(folder), "--model", str(folder / "original"), "--method", method]
    with pytest.raises(InputError, match=rf"{method} .*: retain; gradient_ascent needs no retain"):
        main([*argv, *options, "--out", str(folder / "none")])
