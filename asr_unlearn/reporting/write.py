"""report.md and report.html, from a results.json and the run folders beside it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asr_unlearn.reporting.tables as tables
from asr_unlearn.evaluation.record_file import NAME, path_of, read_record, report_of
from asr_unlearn.evaluation.record_file import SCHEMA as RECORD_SCHEMA
from asr_unlearn.evaluation.results import Results, ResultsError, read_results
from asr_unlearn.reporting.comparison import Comparison, compare
from asr_unlearn.reporting.examples import examples, recordings
from asr_unlearn.reporting.figures import palette
from asr_unlearn.reporting.figures.gallery import draw_all
from asr_unlearn.reporting.private import without_names
from asr_unlearn.reporting.render_html import blocks, html
from asr_unlearn.reporting.render_markdown import draw, markdown, sentences
from asr_unlearn.reporting.runs import Runs, key, read_run_files
from asr_unlearn.reporting.summary import summary
from asr_unlearn.runtime.cache import predictions_folder
from asr_unlearn.runtime.io import atomic_write, digest
from asr_unlearn.runtime.progress import Bar


def write_report(
    results_path: Path, audio: bool = True, private: bool = False, earlier: Sequence[Path] = ()
) -> tuple[Path, Path]:
    """Write report.md and report.html beside `results_path` and return their paths.

    Other results than results.json, for example attacks.json, get attacks-report.md and .html, so
    two evaluations of one folder do not replace each other's reports.

    Args:
        audio: put recordings of the examples, of forgotten speakers too, into report.html.
        private: write private-report.md and .html, without names, transcripts and paths.
        earlier: results.json of the requests before, the first one first.

    Raises:
        ResultsError: results.json or a file of a run folder is broken, or results.json is not what
            a deletion record is about. A missing file of a run folder is named in the report
            instead.
    """
    results = read_results(results_path)
    models = Bar(results.models, desc="reading the runs", leave=False, delay=2)
    root = results_path.parent
    runs: Runs = {
        key(m): read_run_files(m.folder, predictions_folder(m.folder, root)) for m in models
    }
    _check_records(results, runs)
    if private:
        results, runs = without_names(results, runs)
        audio = False
    found = compare(results)
    path = report_of(results_path)
    if private:
        path = path.with_name(f"private-{path.name}")
    paths = path, path.with_suffix(".html")
    requests = [*(compare(read_results(one)) for one in earlier), found]
    content = {
        **content_of(results, found, runs),
        "page": paths[1].name,
    }
    content["main"] = [*_present(tables.requests(requests)), *content["main"]]
    only_html = _only_html(results, requests, runs, content["missing"], audio)
    texts = markdown(content), html({**content, **only_html})
    for path, text in zip(paths, texts, strict=True):
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return paths


def holds_figures(report: Path, results: Path) -> bool:
    """Whether a report.md has the summary and every table of figures as they follow from results.

    And the report.html beside it, if there is one. Tables that quote other files, which may have
    been deleted since, are not compared, nor is what else the pages say and show.
    """
    found = compare(read_results(results))
    figures, said = _main_tables(found) + _more_tables(found), summary(found)
    looks = palette.looks([entry.name for entry in found.entries])
    expected = {
        report: [sentences(said), *map(draw, figures)],
        report.with_suffix(".html"): blocks(said.sentences, figures, looks),
    }
    pages = {page: page.read_text(encoding="utf-8") for page in expected if page.is_file()}
    return all(block in text for page, text in pages.items() for block in expected[page])


def _check_records(results: Results, runs: Runs) -> None:
    """Raises ResultsError if a deletion record was made of these results before they changed."""
    for model in results.models:
        record = runs[key(model)].record
        if record is None or record.get("schema") != RECORD_SCHEMA:
            continue
        path = model.folder / NAME
        about = path_of(model.folder, read_record(path), "results")
        same = record["sha256"].get("results") == digest(results.path)
        if about.resolve() == results.path.resolve() and not same:
            raise ResultsError(
                f"{results.path} is not what {path} was made of; evaluate the models again"
            )


def content_of(results: Results, found: Comparison, runs: Runs) -> dict[str, Any]:
    """What both reports show."""
    return {
        "record": results.record,
        "rate": found.rate,
        "forgotten": found.forgotten,
        "seeds": found.seeds,
        "seeds_and_window": _seeds_and_window(results.record, found.seeds),
        "summary": summary(found),
        "main": _main_tables(found),
        "more": _more_tables(found),
        "forget_speakers": tables.each_speaker(found, runs, "forget"),
        "retain_speakers": tables.each_speaker(found, runs, "retain"),
        "data": _present(tables.split(results), tables.left_out(results)),
        "record_inputs": tables.record_inputs(found, runs),
        "records": tables.records(found, runs),
        "versions": tables.versions(results),
        "options": tables.options(found),
        "missing": [
            f"{model.record['path']}/{name}"
            for model in results.models
            for name in runs[key(model)].missing
        ],
    }


def _main_tables(found: Comparison) -> list[tables.Table]:
    return _present(
        tables.closest(found),
        tables.rates_and_loss(found),
        tables.differences(found),
        tables.membership(found),
        tables.true_positives(found),
        tables.speaker_membership(found),
        tables.unlearned_shadows(found),
        tables.relearning(found),
        tables.quantisation(found),
        *tables.measured(found),
        tables.probe(found),
        tables.judge(found),
        tables.verification(found),
        tables.layers(found),
        tables.layer_probes(found),
        tables.principal_components(found),
        tables.distance_and_cost(found),
    )


def _more_tables(found: Comparison) -> list[tables.Table]:
    return _present(
        tables.each_seed(found),
        *tables.details(found),
        tables.phases(found),
        tables.endings(found),
        tables.further(found),
    )


def _seeds_and_window(record: Mapping[str, Any], seeds: Sequence[int]) -> str:
    """Seeds of the runs and of the split, and the window of a Whisper encoder."""
    several = "s" if len(seeds) > 1 else ""
    text = f"Seed{several} {', '.join(map(str, seeds))}; split seed {record['split']['seed']}."
    if "window" not in record:
        return text
    return (
        f"{text} Evaluated with an encoder window of {record['window']:g} s; "
        "the saved models keep their own, 30 s in OpenAI's."
    )


def _present(*given: tables.Table | None) -> list[tables.Table]:
    return [table for table in given if table is not None]


def _only_html(
    results: Results,
    requests: Sequence[Comparison],
    runs: Runs,
    missing: Sequence[str],
    audio: bool,
) -> dict[str, Any]:
    """Figures, examples, settings and whole deletion records."""
    found = requests[-1]
    looks = palette.looks([entry.name for entry in found.entries])
    recorded = recordings(results, runs) if audio else None
    chosen = examples(found, runs, recorded)
    return {
        **draw_all(requests, runs, looks),
        "looks": looks,
        "methods": [entry.name for entry in found.methods],
        "colours": palette.colours(looks),
        "examples": chosen,
        "has_audio": any(one.audio for part in chosen.values() for one in part),
        "settings": {
            f"{model.name}, seed {model.seed}": json.dumps(content, indent=2, ensure_ascii=False)
            for model in results.models
            if (content := runs[key(model)].settings)
        },
        "whole_records": {
            f"{model.name}, seed {model.seed}": record
            for model in results.models
            if (record := runs[key(model)].record) is not None
        },
        "missing": [*missing, *(recorded.missing if recorded else ())],
    }
