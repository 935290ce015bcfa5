"""The published tables are those of their results files."""

import shutil
from pathlib import Path

import pytest

from asr_unlearn.reporting import evidence
from asr_unlearn.runtime.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def published(tmp_path):
    """What is published, in a folder of its own."""
    for path in [*ROOT.glob("recipes/*/*.json"), *ROOT.glob("recipes/*/*.md"),
                 *(ROOT / name for name in (*evidence.HEADLINES, evidence.PAGE))]:  # fmt: skip
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return tmp_path


def test_no_published_table_was_changed_by_hand(published):
    assert len(evidence.made(published)) >= 5
    assert not evidence.changed(published)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("recipes/librispeech/RESULTS-pretrained.md", "\n### WER and loss", "\n### Better"),
        ("README.md", "| retrained |", "| better |"),
        (evidence.PAGE, "| retrained |", "| better |"),
    ],
)
def test_a_change_is_found_and_mended(name, old, new, published, monkeypatch, capsys):
    path = published / name
    right = path.read_text()
    assert old in right
    path.write_text(right.replace(old, new, 1))
    monkeypatch.chdir(published)
    for flags, status in ((["--check"], 1), ([], 0), (["--check"], 0)):
        monkeypatch.setattr("sys.argv", ["evidence", *flags])
        with pytest.raises(SystemExit) as end:
            evidence.main()
        assert end.value.code == status
    assert capsys.readouterr().out == f"{name}: not as its results file says\nwrote {name}\n"
    assert path.read_text() == right


def test_what_is_written_above_the_tables_stays(published):
    page = published / "recipes/librispeech/RESULTS-pretrained.md"
    page.write_text("# Mine\n\n" + page.read_text())
    assert page not in evidence.changed(published)


def test_a_results_file_without_a_place_for_its_tables_is_named(published):
    page = published / "recipes/librispeech/RESULTS-pretrained.md"
    page.write_text("# Mine\n")
    with pytest.raises(InputError, match=r"RESULTS-pretrained\.md: there is no heading '## Summa"):
        evidence.made(published)
    page.unlink()
    with pytest.raises(InputError, match=r"results-pretrained\.json has no page RESULTS-pre"):
        evidence.made(published)
