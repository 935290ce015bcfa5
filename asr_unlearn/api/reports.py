"""Write the report of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_unlearn.evaluation.results import Results, read_results
from asr_unlearn.reporting.write import write_report
from asr_unlearn.runtime.text import names_in
from asr_unlearn.runtime.tracking import TrackerName, check_tracker, tracking


@dataclass(frozen=True)
class Report:
    """A written report.

    Attributes:
        markdown: report.md.
        html: report.html, one file that needs no other.
        results: the figures in it.
    """

    markdown: Path
    html: Path
    results: Results


def report(
    results: Path | str,
    *,
    audio: bool = True,
    private: bool = False,
    earlier: str | Sequence[str | Path] = (),
    track: TrackerName | None = None,
) -> Report:
    """Write report.md and report.html beside results.json.

    Args:
        results: results.json of an evaluation; attacks.json gives attacks-report.md and
            attacks-report.html.
        audio: include a few recordings in report.html, some of them of forget speakers.
        private: write private-report.md and private-report.html, which name nobody, quote nobody
            and show no path.
        earlier: results.json of the requests before, with commas, the first one first: the report
            shows what became of their speakers.
        track: keep the report with a run of an experiment tracker too: mlflow and wandb keep both
            files, tensorboard and trackio show the Markdown.

    Returns:
        The files, and the figures.

    Raises:
        ResultsError: the file is missing, does not fit the schema, or is not what a model's
            deletion record was made of.

    Examples:
        >>> from asr_unlearn import report
        >>> report("out/results.json", audio=False).html
        PosixPath('out/report.html')
    """
    path = Path(results)
    check_tracker(track)
    before = [Path(name) for name in names_in(earlier)]
    markdown, html = write_report(path, audio=audio, private=private, earlier=before)
    with tracking(track, path) as tracker:
        if tracker is not None:
            tracker.keep(markdown, html)
    return Report(markdown, html, read_results(path))
