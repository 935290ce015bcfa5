"""What becomes of the speakers of several requests: a picture, and a table below it."""

import pytest

from asr_unlearn.reporting import tables, write_report
from asr_unlearn.reporting.figures import palette
from asr_unlearn.reporting.figures.requests import after_each_request
from tests.support.made_up_runs import comparison_of

MODELS = ("retrained", "orthograd_tau", "neggrad_plus")


@pytest.fixture
def requests(make_run, tmp_path):
    """results.json of three requests; those of later ones have earlier speakers."""
    paths = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        models = MODELS if number else ("original", *MODELS)
        paths.append(make_run(models, seeds=(0, 1), folder=folder))
        rate = 0.1 * number

        def change(models, rate=rate):
            for model in models.values():
                if rate:
                    model["wer"]["forgotten"] = rate

        comparison_of(paths[-1], change)
    return paths


def test_a_table_of_what_each_request_did(requests):
    found = [comparison_of(path) for path in requests]
    table = tables.requests(found)
    kinds = ("forget, 1", "forget, 2", "forget, 3", "earlier, 2", "earlier, 3", "retain, 1")
    assert table.columns[1:7] == kinds
    assert [row.label for row in table.rows] == [entry.name for entry in found[-1].entries]
    for row in table.rows:
        assert [row.cells[place].value for place in (3, 4)] == pytest.approx([0.1, 0.2])
        for number, each in enumerate(found):
            expected = each.value(row.label, "wer", "forget").mean
            assert row.cells[number].value == expected
    assert tables.requests(found[:1]) is None


def test_a_picture_of_it(requests):
    found = [comparison_of(path) for path in requests]
    looks = palette.looks([entry.name for entry in found[-1].entries])
    drawn = after_each_request(found, looks)
    for name in MODELS:
        assert f"{name} on earlier speakers: 10.0%, 20.0%" in drawn
    assert after_each_request(found[-1:], looks) is None


def test_the_report_of_a_later_request_holds_both(requests):
    markdown, html = write_report(requests[-1], audio=False, earlier=requests[:-1])
    assert "### After each request" in markdown.read_text()
    assert 'id="after-each"' in html.read_text()
    markdown, html = write_report(requests[-1], audio=False)
    assert "After each request" not in markdown.read_text() + html.read_text()
