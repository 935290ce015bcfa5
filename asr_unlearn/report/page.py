"""report.md and report.html, from results.json and the run folders beside it."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from tqdm import tqdm

from asr_unlearn.files import write_aside
from asr_unlearn.report import corpus, palette, plots, tables, wording
from asr_unlearn.report.corpus import Runs, key
from asr_unlearn.report.examples import examples
from asr_unlearn.report.markdown import markdown
from asr_unlearn.report.results import PARTS, Results, read_results
from asr_unlearn.report.runs import read_run
from asr_unlearn.report.seeds import Entry, entries, methods, seeds
from asr_unlearn.report.summary import summary

Draw = Callable[[], str | None]


def write_report(results_path: Path) -> tuple[Path, Path]:
    """Write report.md and report.html beside `results_path` and return their paths.

    Raises ResultsError when results.json or a file of a run folder is broken; a file that is
    merely missing is named in the report, and what would need it is left out.
    """
    results = read_results(results_path)
    models = tqdm(results.models, desc="reading the runs", leave=False)
    runs = {key(model): read_run(model.folder) for model in models}
    told = _told(results, runs)
    paths = results_path.with_name("report.md"), results_path.with_name("report.html")
    pages = markdown(told), _html({**told, **_pictures(results, runs)})
    for path, text in zip(paths, pages, strict=True):
        with write_aside(path) as aside:
            aside.write_text(text, encoding="utf-8")
    return paths


def _told(results: Results, runs: Runs) -> dict[str, Any]:
    """What both reports say."""
    found = entries(results)
    return {
        "record": results.record,
        "seeds": seeds(found),
        "summary": summary(results),
        "main": _given(
            tables.errors(found),
            tables.gaps(found),
            tables.membership(found),
            tables.speaker_id(found),
            tables.distance_and_cost(found),
        ),
        "more": _given(
            tables.each_seed(found),
            *tables.details(found),
            tables.endings(found),
            tables.further(found),
        ),
        "forget_speakers": corpus.speakers(found, runs, "forget"),
        "retain_speakers": corpus.speakers(found, runs, "retain"),
        "data": _given(corpus.split(results), corpus.left_out(results)),
        "reproduction": _given(corpus.options(found), corpus.versions(results)),
        "missing": _missing(results, runs),
    }


def _given(*found: tables.Table | None) -> list[tables.Table]:
    return [table for table in found if table is not None]


def _missing(results: Results, runs: Runs) -> list[str]:
    return [
        f"{model.record['path']}/{name}"
        for model in results.models
        for name in runs[key(model)].missing
    ]


def _pictures(results: Results, runs: Runs) -> dict[str, Any]:
    """What only the HTML report shows: plots, examples, the runs' settings."""
    found = entries(results)
    looks = palette.looks([entry.name for entry in found])
    settings = {
        f"{model.name}, seed {model.seed}": json.dumps(content, indent=2, ensure_ascii=False)
        for model in results.models
        if (content := runs[key(model)].settings)
    }
    drawings: dict[str, list[Draw]] = {
        "bars": _bars(found, looks),
        "trade_off": [partial(plots.trade_off, found, looks)],
        "histograms": _histograms(found, runs, looks),
        "curves": _curves(found, runs, looks),
    }
    waiting = [(place, draw) for place, draws in drawings.items() for draw in draws]
    drawn: dict[str, list[Markup]] = {place: [] for place in drawings}
    for place, draw in tqdm(waiting, desc="drawing the report", leave=False):
        if (picture := draw()) is not None:
            drawn[place].append(Markup(picture))
    return {
        **drawn,
        "looks": looks,
        "colours": palette.COLOURS,
        "examples": examples(found, runs),
        "settings": settings,
    }


def _bars(found: Sequence[Entry], looks: plots.Looks) -> list[Draw]:
    parts = [part for part in PARTS if any(entry.spread("wer", part) for entry in found)]
    ends = [
        plots.whiskers(entry, part)[1]
        for part in parts
        for entry in found
        if entry.spread("wer", part)
    ]
    return [partial(plots.wer_bars, found, part, looks, max(ends)) for part in parts]


def _histograms(found: Sequence[Entry], runs: Runs, looks: plots.Looks) -> list[Draw]:
    losses = {entry.name: _losses(entry, runs) for entry in found}
    edges = plots.loss_edges(list(losses.values()))
    if edges is None:
        return []
    return [
        partial(plots.loss_histogram, name, own, edges, looks)
        for name, own in losses.items()
        if any(own.values())
    ]


def _losses(entry: Entry, runs: Runs) -> Mapping[str, list[float]]:
    """Losses of all seeds' utterances, by part."""
    parts: dict[str, list[float]] = {part: [] for part in ("forget", "unseen", "retain")}
    for model in entry.models:
        for row in runs[key(model)].transcripts:
            if row.part in parts and row.loss is not None:
                parts[row.part].append(row.loss)
    return parts


def _curves(found: Sequence[Entry], runs: Runs, looks: plots.Looks) -> list[Draw]:
    draws: list[Draw] = []
    for entry in methods(found):
        curves = {model.seed: runs[key(model)].metrics for model in entry.models}
        draws += [
            partial(plots.unlearning_curve, entry.name, curves, quantity, looks)
            for quantity in ("loss", "cer")
        ]
    return draws


def _html(content: Mapping[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("asr_unlearn.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        part_names=wording.PART_NAMES, duration=wording.duration, number=wording.number
    )
    return environment.get_template("report.html.jinja").render(content)
