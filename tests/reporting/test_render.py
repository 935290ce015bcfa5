"""report.md and report.html show what results.json holds, whatever the transcripts contain."""

import ast
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import asr_unlearn.reporting
from asr_unlearn.evaluation.results import ResultsError, read_results, write_results
from asr_unlearn.reporting import table, write_report
from asr_unlearn.runtime.cache import cached
from tests.support.made_up_runs import predictions

MakeRun = Callable[..., Path]
FOUR = ("original", "retrained", "neggrad_plus", "orthograd_tau")
PARTS = {"forget": "forget", "forget_heldout": "held-out", "retain": "retain",
         "unseen": "unseen", "test": "test"}  # fmt: skip
HOSTILE = [
    '<script>alert("1")</script> | `x` </td></table>',
    "<img src=http://asr-unlearn.invalid/x onerror=alert(2)> {{ 7*7 }} $\\frac$",
    "ça été 你好 \u202e عربي 🎙",
]


class Tables(HTMLParser):
    """Every table of a page: column -> row label -> (text, exact value)."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[tuple[str, str | None]]]] = []
        self.text: list[str] = []
        self.tags: set[str] = set()
        self._skip = False
        self._cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._skip = tag == "style"
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self._cell = True
            self.tables[-1][-1].append(("", dict(attrs).get("data-value")))

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._skip:
            return
        self.text.append(data)
        if self._cell:
            text, value = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = (text + data, value)

    def find(self, column: str) -> dict[str, tuple[str, str | None]]:
        for rows in self.tables:
            headings = [text.strip() for text, _ in rows[0]]
            if column in headings:
                place = headings.index(column)
                return {row[0][0].strip(): row[place] for row in rows[1:]}
        raise AssertionError(f"no column {column!r}")


def _page(path: Path) -> Tables:
    page = Tables()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _markdown_column(text: str, column: str) -> dict[str, str]:
    lines = text.splitlines()
    for place, line in enumerate(lines):
        headings = [cell.strip() for cell in line.strip("|").split("|")]
        if column in headings and lines[place + 1].startswith("| ---"):
            rows: dict[str, str] = {}
            for row in lines[place + 2 :]:
                if not row.startswith("|"):
                    return rows
                cells = [cell.strip() for cell in row.strip("|").split("|")]
                rows[cells[0].replace("\\", "")] = cells[headings.index(column)]
            return rows
    raise AssertionError(f"no column {column!r}")


def _rate(text: str) -> float:
    found = re.match(r"[\d.]+", text)
    assert found, text
    return float(found[0]) / 100


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_both_reports_hold_the_figures_of_results(
    make_run: MakeRun, seeds: tuple[int, ...]
) -> None:
    path = make_run(models=FOUR, seeds=seeds)
    record = json.loads(path.read_text())
    written, page = (read for read in write_report(path))
    markdown, html = written.read_text(encoding="utf-8"), _page(page)
    for part, name in PARTS.items():
        exact = html.find(f"WER {name}")
        rounded = _markdown_column(markdown, f"WER {name}")
        assert set(exact) == set(rounded) == set(FOUR)
        for model in FOUR:
            rates = [m["wer"][part] for m in record["models"] if m["name"] == model]
            mean = sum(rates) / len(rates)
            assert float(exact[model][1] or "nan") == pytest.approx(mean)
            assert _rate(exact[model][0]) == pytest.approx(mean, abs=0.00051)
            assert _rate(rounded[model]) == pytest.approx(mean, abs=0.00051)
    losses = html.find("Loss forget")
    for model in FOUR:
        values = [m["loss"]["forget"] for m in record["models"] if m["name"] == model]
        assert float(losses[model][1] or "nan") == pytest.approx(sum(values) / len(values))
    assert record["command"] in markdown
    assert record["command"] in "".join(html.text)


def test_one_seed_shows_its_interval_and_says_so(make_run: MakeRun) -> None:
    path = make_run()
    written, page = write_report(path)
    low, high = json.loads(path.read_text())["models"][1]["ci95"]["wer"]["forget"]
    expected = f"{100 * low:.1f}% to {100 * high:.1f}%"
    assert expected in written.read_text(encoding="utf-8")
    text = "".join(_page(page).text)
    assert expected in text
    assert "one seed" in text
    assert "no difference" not in text


def test_several_seeds_show_their_spread_and_no_difference(make_run: MakeRun) -> None:
    path = make_run(seeds=(0, 1, 2))
    record = json.loads(path.read_text())
    for model in record["models"]:
        if model["name"] == "orthograd_tau":
            model["gap_to_retrained"]["wer"] |= {"retain": 1e-6, "test": 0.9}
    write_results(path, record)
    written, page = write_report(path)
    assert re.search(r"\d ± \d", written.read_text(encoding="utf-8"))
    gaps = next(t for t in _page(page).tables if any("no difference" in c[0] for r in t for c in r))
    headings = [text.strip() for text, _ in gaps[0]]
    row = next(row for row in gaps if row[0][0].strip() == "orthograd_tau")
    assert "no difference" in row[headings.index("WER retain")][0]
    assert "no difference" not in row[headings.index("WER test")][0]


def test_figures_come_first_then_the_summary_then_tables(make_run: MakeRun) -> None:
    _, page = write_report(make_run(models=FOUR))
    raw = page.read_text(encoding="utf-8")
    marks = (
        'aria-label="Points of WER above the retrained model',
        'aria-label="WER forget of every model',
        'id="summary"',
        "<table>",
    )
    places = [raw.index(mark) for mark in marks]
    assert places == sorted(places)


def test_hostile_text_stays_text(make_run: MakeRun) -> None:
    path = make_run(texts=HOSTILE * 20)
    record = json.loads(path.read_text())
    record["corpus"] = HOSTILE[0]
    record["split"]["forget_speakers"] = HOSTILE
    record["models"][2] |= {
        "name": HOSTILE[1] + HOSTILE[2],
        "stopped": HOSTILE[0],
        "options": {"a": HOSTILE[0]},
    }
    write_results(path, record)
    written, page = write_report(path)
    raw = page.read_text(encoding="utf-8")
    html = _page(page)
    assert not html.tags & {"script", "img", "iframe", "object"}
    assert "on" + "error=alert(2)&gt;" in raw
    assert "{{ 7*7 }}" in "".join(html.text)
    for word in ("你好", "عربي", "🎙", "été"):
        assert word in raw
    for line in written.read_text(encoding="utf-8").splitlines():
        assert not re.search(r"(?<!\\)<", line) or line == record["command"]
    stopped = _markdown_column(written.read_text().replace("\\|", "¦"), "Why")
    assert any("alert" in reason and "¦" in reason for reason in stopped.values())


def _bare(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text())
    record["models"] = [
        {key: model[key] for key in ("name", "seed", "path", "loss")} for model in record["models"]
    ]
    record["data"] = {}
    return record


def test_missing_figures_are_dashes_or_left_out(make_run: MakeRun) -> None:
    path = make_run()
    record = _bare(path)
    record["models"][1]["wer"] = {"test": 0.25}
    write_results(path, record)
    for model in record["models"]:
        for folder in (path.parent / model["path"], predictions(path, model["path"])):
            shutil.rmtree(folder)
    written, page = write_report(path)
    html = _page(page)
    markdown = written.read_text(encoding="utf-8")
    for text in ("".join(html.text), markdown):
        assert not re.search(r"\b(nan|None|inf|undefined)\b", text)
    rates = html.find("WER test")
    assert rates["original"] == ("—", None)
    assert _markdown_column(markdown, "WER test")["original"] == "—"
    assert _rate(rates["retrained"][0]) == 0.25
    assert "WER forget" not in "".join(html.text)
    assert "original/utterances.jsonl" in "".join(html.text)
    assert "Left-out utterances" not in "".join(html.text)


def test_an_utterance_without_a_loss_or_text_is_no_zero(make_run: MakeRun) -> None:
    path = make_run()
    for file in (path.parent / ".cache").rglob("utterances.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        for row in rows:
            row["loss"] = float("nan") if row["part"] == "forget" else row["loss"]
            row.pop("hypothesis")
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, page = write_report(path)
    raw = page.read_text(encoding="utf-8")
    assert "Examples" not in raw
    label = re.search(r'aria-label="Histogram of original[^"]*"', raw)
    assert label
    assert "unseen mean" in label[0]
    assert "forget mean" not in label[0]


def test_figures_without_a_place_of_their_own_are_shown(make_run: MakeRun) -> None:
    path = make_run()
    record = json.loads(path.read_text())
    record["models"][2]["membership"] = {"loss_threshold": {"auc": 0.5425}}
    write_results(path, record)
    _, page = write_report(path)
    shown = _page(page).find("membership loss_threshold auc")
    assert shown["orthograd_tau"] == ("0.542", "0.5425")
    assert shown["original"] == ("—", None)


def test_a_broken_run_file_is_named_with_its_line(make_run: MakeRun) -> None:
    path = make_run()
    file = predictions(path, "retrained") / "utterances.jsonl"
    rows = file.read_text().splitlines()
    rows[6] = '{"id": "x"}'
    file.write_text("\n".join(rows))
    with pytest.raises(ResultsError, match=r"retrained/utterances.jsonl, line 7.*'part'"):
        write_report(path)
    assert not (path.parent / "report.html").exists()


def test_predictions_that_were_edited_are_named(make_run: MakeRun) -> None:
    path = make_run()
    file = predictions(path, "retrained") / "utterances.jsonl"
    cached(file, "an evaluation").save()
    write_report(path)
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(ResultsError, match=r"retrained/utterances\.jsonl is not as .* evaluate"):
        write_report(path)
    file.unlink()
    write_report(path)


def test_the_reports_are_the_same_each_time(make_run: MakeRun) -> None:
    path = make_run()
    first = [file.read_bytes() for file in write_report(path)]
    assert first == [file.read_bytes() for file in write_report(path)]


def test_two_evaluations_of_a_folder_have_a_report_each(make_run: MakeRun) -> None:
    path = make_run()
    first = write_report(path)
    other = path.with_name("attacks.json")
    other.write_bytes(path.read_bytes())
    second = write_report(other)
    assert [file.name for file in first] == ["report.md", "report.html"]
    assert [file.name for file in second] == ["attacks-report.md", "attacks-report.html"]
    assert second[1].read_bytes() == first[1].read_bytes()


def test_plots_follow_the_page_and_share_no_ids(make_run: MakeRun) -> None:
    _, page = write_report(make_run(models=FOUR))
    raw = page.read_text(encoding="utf-8")
    plots = re.findall(r"<svg .*?</svg>", raw, flags=re.DOTALL)
    # Five rates and a loss, the trade-off, a histogram a model, speakers, training, two methods.
    assert len(plots) == 6 + 1 + 4 + 1 + 1 + 2
    for plot in plots:
        assert not re.search(r"(fill|stroke): #", plot)
        assert re.search(r'role="img" aria-label="[^"]+"', plot)
        assert "<title>" in plot
        assert "mathdefault" not in plot
    ids = re.findall(r' id="([^"]+)"', raw)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', raw)) <= set(ids)


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_terminal_table_cuts_no_figure(
    make_run: MakeRun, seeds: tuple[int, ...], width: int
) -> None:
    results = read_results(make_run(models=FOUR, seeds=seeds))
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table(results))
    text = captured.get()
    assert "…" not in text
    for model in FOUR:
        assert model in text
    if len(seeds) == 1:
        forget = results.models[0].figure("wer", "forget")
        assert forget is not None
        assert f"{100 * forget:.2f} " in text
        assert "one seed" in text
        assert re.search(r"orthograd_tau .* 81\.2 *\n", text)
    else:
        assert "over 2 seeds" in text
        assert re.search(r"orthograd_tau .* 81\.8 *\n.*±0\.7 *\n", text)


def test_the_terminal_shows_accuracy_of_classes(make_run: MakeRun) -> None:
    results = read_results(make_run(task="classification"))
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table(results))
    forget = results.models[0].figure("accuracy", "forget")
    assert forget is not None
    assert "acc %" in captured.get()
    assert "WER" not in captured.get()
    assert f"{100 * forget:.1f} " in captured.get()


def test_the_report_imports_no_torch_and_no_training() -> None:
    folder = Path(str(asr_unlearn.reporting.__file__)).parent
    modules = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                modules.add(node.module or "")
            elif isinstance(node, ast.Import):
                modules.update(alias.name for alias in node.names)
    own = {name for name in modules if name.startswith("asr_unlearn")}
    assert own
    lent = {
        f"asr_unlearn.{name}"
        for name in ("data.audio", "data.manifest", "data.split", "evaluation.record_file",
                     "evaluation.results",
                     "runtime.cache", "runtime.errors", "runtime.io", "runtime.progress",
                         "runtime.subclasses")
    }  # fmt: skip
    assert all(name in lent or name.startswith("asr_unlearn.reporting") for name in own)
    assert not any(name.split(".")[0] in ("torch", "transformers") for name in modules)
