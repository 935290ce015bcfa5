"""report.md and report.html, from results.json and the run folders beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from tqdm import tqdm

from asr_unlearn.evaluation.results import Results, read_results
from asr_unlearn.report import palette, tables, wording
from asr_unlearn.report.comparison import Comparison, compare
from asr_unlearn.report.examples import examples, recordings
from asr_unlearn.report.markdown import markdown
from asr_unlearn.report.pictures import pictures, settings
from asr_unlearn.report.runs import Runs, key, read_run
from asr_unlearn.report.words import summary
from asr_unlearn.runtime.cache import predictions_folder
from asr_unlearn.runtime.io import atomic_write


def write_report(results_path: Path, audio: bool = True) -> tuple[Path, Path]:
    """Write report.md and report.html beside `results_path` and return their paths.

    Other results than results.json, attacks.json say, have attacks-report.md and .html: two
    evaluations of one folder do not replace each other's reports. With `audio`, the examples of
    report.html can be heard: it then holds recordings of speakers.

    Raises ResultsError when results.json or a file of a run folder is broken; a file that is
    merely missing is named in the report, and what would need it is left out.
    """
    results = read_results(results_path)
    models = tqdm(results.models, desc="reading the runs", leave=False, delay=2)
    root = results_path.parent
    runs = {key(m): read_run(m.folder, predictions_folder(m.folder, root)) for m in models}
    found = compare(results)
    stem = "report" if results_path.stem == "results" else f"{results_path.stem}-report"
    paths = results_path.with_name(f"{stem}.md"), results_path.with_name(f"{stem}.html")
    told = {**_told(results, found, runs), "page": paths[1].name}
    pages = markdown(told), _html({**told, **_only_html(results, found, runs, told, audio)})
    for path, text in zip(paths, pages, strict=True):
        with atomic_write(path) as aside:
            aside.write_text(text, encoding="utf-8")
    return paths


def _told(results: Results, found: Comparison, runs: Runs) -> dict[str, Any]:
    """What both reports say."""
    return {
        "record": results.record,
        "rate": found.rate,
        "forgotten": found.forgotten,
        "seeds": found.seeds,
        "seeds_and_window": _seeds_and_window(results.record, found.seeds),
        "summary": summary(results),
        "main": _given(
            tables.closest(found),
            tables.errors(found),
            tables.gaps(found),
            tables.membership(found),
            tables.few_alarms(found),
            tables.relearning(found),
            tables.probe(found),
            tables.judge(found),
            tables.verification(found),
            tables.distance_and_cost(found),
        ),
        "more": _given(
            tables.each_seed(found),
            *tables.details(found),
            tables.endings(found),
            tables.further(found),
        ),
        "forget_speakers": tables.each_speaker(found, runs, "forget"),
        "retain_speakers": tables.each_speaker(found, runs, "retain"),
        "data": _given(tables.split(results), tables.left_out(results)),
        "record_inputs": tables.record_inputs(found, runs),
        "records": tables.records(found, runs),
        "versions": tables.versions(results),
        "options": tables.options(found),
        "missing": _missing(results, runs),
    }


def _seeds_and_window(record: Mapping[str, Any], seeds: Sequence[int]) -> str:
    """Of which seeds the figures are, and in which window of a Whisper's encoder."""
    several = "s" if len(seeds) > 1 else ""
    said = f"Seed{several} {', '.join(map(str, seeds))}; split seed {record['split']['seed']}."
    if "window" not in record:
        return said
    return (
        f"{said} Evaluated with an encoder window of {record['window']:g} s; "
        "the saved models have their own, 30 s in OpenAI's."
    )


def _given(*found: tables.Table | None) -> list[tables.Table]:
    return [table for table in found if table is not None]


def _missing(results: Results, runs: Runs) -> list[str]:
    return [
        f"{model.record['path']}/{name}"
        for model in results.models
        for name in runs[key(model)].missing
    ]


def _only_html(
    results: Results, found: Comparison, runs: Runs, told: Mapping[str, Any], audio: bool
) -> dict[str, Any]:
    """What only the HTML report shows: plots, examples, settings and whole records."""
    looks = palette.looks([entry.name for entry in found.entries])
    recorded = recordings(results, runs) if audio else None
    chosen = examples(found, runs, recorded)
    return {
        **pictures(found, runs, looks),
        "looks": looks,
        "methods": [entry.name for entry in found.methods],
        "colours": [*palette.FIXED, *_own_colours(looks)],
        "examples": chosen,
        "can_be_heard": any(one.sound for part in chosen.values() for one in part),
        "settings": settings(results, runs),
        "whole_records": {
            f"{model.name}, seed {model.seed}": record
            for model in results.models
            if (record := runs[key(model)].record) is not None
        },
        "missing": [*told["missing"], *(recorded.missing if recorded else ())],
    }


def _own_colours(looks: palette.Looks) -> list[palette.Colour]:
    return [look.colour for look in looks.values() if look.colour not in palette.FIXED]


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
