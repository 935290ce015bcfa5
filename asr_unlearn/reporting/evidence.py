"""The published results: every table of the recipes' RESULTS and of the README from results files.

python -m asr_unlearn.reporting.evidence [--check]

A file recipes/NAME/results-X.json has its tables in RESULTS-X.md beside it, from the heading
"## Summary" on; what stands before is written by hand.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from asr_unlearn.evaluation.results import Results, read_results
from asr_unlearn.reporting.comparison import compare
from asr_unlearn.reporting.readme import headline_block, put_headline
from asr_unlearn.reporting.render_markdown import escape, fenced, grid, markdown
from asr_unlearn.reporting.runs import Run, key
from asr_unlearn.reporting.tables import headline, versions
from asr_unlearn.reporting.write import content_of
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import atomic_write

HEADING = "## Summary"
# The pages that show a headline table, and of which results.
HEADLINES = {
    "README.md": "recipes/librispeech/results-pretrained.json",
    "docs/results.md": "recipes/an4/results.json",
}
PAGE = "docs/evidence.md"
INTRODUCTION = """# Evidence

Every evaluation whose results file is in the repository, with the command that made it. The tables
of this page, of the pages that it names and of the README are made from those files by
`make evidence`; a test fails where one was changed by hand. What each can show, and what it cannot,
stands at the top of its page.
"""


def tables_of(results: Results) -> str:
    """The summary and all tables that a results file is enough for, from `HEADING` on."""
    runs = {key(model): Run([], [], {}, ()) for model in results.models}
    whole = markdown({**content_of(results, compare(results), runs), "page": ""})
    return whole[whole.index(HEADING) :]


def with_tables(text: str, results: Results) -> str:
    """The text of a RESULTS page with its tables in place of those that it has.

    Raises:
        InputError: it has no heading to put them at.
    """
    before, heading, _ = text.partition(f"\n{HEADING}\n")
    if not heading:
        raise InputError(f"there is no heading {HEADING!r} to put the tables at")
    return f"{before}\n{tables_of(results)}"


def page_of(results: Path) -> Path:
    """The RESULTS page of a results file."""
    return results.with_name(results.stem.replace("results", "RESULTS", 1) + ".md")


def evidence_page(found: Mapping[Path, Results], root: Path) -> str:
    """docs/evidence.md: of each results file the headline figures, command, time and versions."""
    blocks = [INTRODUCTION.strip()]
    for path, results in found.items():
        comparison, page = compare(results), page_of(path).relative_to(root).as_posix()
        table, made_with = headline(comparison), versions(results)
        title = page_of(path).read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        blocks += [
            f"## {title}",
            f"All tables: `{page}`. Evaluated {escape(results.record['created'])}.",
            fenced(results.record["command"] or ""),
            *([] if table is None else [escape(table.caption), grid(table)]),
            *([] if made_with is None else [grid(made_with)]),
        ]
    return "\n\n".join(blocks) + "\n"


def made(root: Path) -> dict[Path, str]:
    """Every file that holds published tables, and what it should be.

    Raises:
        InputError: a results file has no page, or a page no place for the tables.
    """
    paths = sorted(root.glob("recipes/*/results*.json"))
    if lacking := [path for path in paths if not page_of(path).is_file()]:
        raise InputError(f"{lacking[0]} has no page {page_of(lacking[0]).name} beside it")
    found = {path: read_results(path) for path in paths}
    texts = {}
    for path, results in found.items():
        try:
            texts[page_of(path)] = with_tables(page_of(path).read_text(encoding="utf-8"), results)
        except InputError as error:
            raise InputError(f"{page_of(path)}: {error}") from error
    for name, results_of in HEADLINES.items():
        text = (root / name).read_text(encoding="utf-8")
        texts[root / name] = put_headline(text, headline_block(found[root / results_of]))
    texts[root / PAGE] = evidence_page(found, root)
    return texts


def changed(root: Path) -> dict[Path, str]:
    """The files among those of `made` that are not as they should be."""
    return {
        path: text
        for path, text in made(root).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the published tables from results files.")
    parser.add_argument("--check", action="store_true", help="name what differs; change nothing")
    given = parser.parse_args()
    differing = changed(Path())
    for path, text in differing.items():
        print(f"{path}: not as its results file says" if given.check else f"wrote {path}")
        if not given.check:
            with atomic_write(path) as partial:
                partial.write_text(text, encoding="utf-8")
    sys.exit(1 if given.check and differing else 0)


if __name__ == "__main__":
    main()
