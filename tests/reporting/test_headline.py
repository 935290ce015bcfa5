"""The pages' figures are those of the committed results, to the letter."""

from pathlib import Path

import pytest

from asr_unlearn.evaluation.results import read_results
from asr_unlearn.reporting.readme import headline_block, put_headline

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("page", "results"),
    [
        ("README.md", "librispeech/results-pretrained.json"),
        ("docs/results.md", "an4/results.json"),
    ],
)
def test_the_pages_show_what_was_measured(page, results):
    block = headline_block(read_results(ROOT / "recipes" / results))
    text = (ROOT / page).read_text(encoding="utf-8")
    assert put_headline(text, block) == text
    for name in ("original", "retrained", "orthograd\\_tau"):
        assert f"| {name} |" in block


def test_a_readme_without_a_place_is_an_error():
    with pytest.raises(ValueError, match="no <!-- headline -->"):
        put_headline("# Title", "block")


def test_the_headline_of_classes_is_their_accuracy(make_run):
    results = read_results(make_run(task="classification"))
    block = headline_block(results)
    assert "| Model | Accuracy forget | Accuracy retain | Accuracy test | Loss forget |" in block
    assert "WER" not in block
