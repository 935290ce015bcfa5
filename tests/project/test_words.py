"""Words that the project gave up for the field's own (see docs/glossary.md) stay away."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("asr_unlearn", "benchmarks", "data_prep", "docs", "recipes", "tests")
# The changelog names them, to say what they are now.
PAGES = ("README.md", "CONTRIBUTING.md", "Makefile", "mkdocs.yml", "pyproject.toml", ".ci/run")
SUFFIXES = {".css", ".html", ".jinja", ".md", ".py", ".sh", ".toml", ".yaml", ".yml"}
BANNED = {
    r"strangers?": "unseen speakers",
    r"outsiders?": "reference model",
    r"(has|have|had|having|never) (ever |never )?met": "trained on",
    r"(heard|hears|misheard|mishears)": "recognises, transcribes",
    r"(has|have|had) learned from": "trained on",
    r"(told|untold)": "given, stated",
    r"(an|the) attacker tells": "a membership inference attack has an AUC of",
    r"yardsticks?": "reference, scale",
    r"acquaintances?": "speakers that it was trained on",
    r"landings?": "interpolation back to the target",
    r"publications?": "run folder, published",
    r"carr(y|ies|ied|ying) out": "run",
    r"writ(e|es|ten) aside": "written to a temporary file",
    r"courses?": "training context",
}
# Old files are converted on reading; what converts them must name what they hold.
CONVERTERS = {"asr_unlearn/models/run_record.py", "tests/evaluation/test_results.py"}
# Python names and file names are words too: `stranger_loss`, `outsiders.py`.
BOUNDARY = r"(?<![A-Za-z]){}(?![A-Za-z])"


def texts():
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*"))]
    files += [ROOT / page for page in PAGES]
    return [
        path
        for path in files
        if path.is_file()
        and (path.suffix in SUFFIXES or path.parent in (ROOT, ROOT / ".ci"))
        and path != Path(__file__)
    ]


def test_the_searched_files_are_those_of_the_project():
    names = {path.relative_to(ROOT).parts[0] for path in texts()}
    assert names >= {*FOLDERS, "README.md", "CONTRIBUTING.md"}
    assert len(texts()) > 250


@pytest.mark.parametrize("word", BANNED, ids=lambda word: BANNED[word])
def test_nobody_writes(word):
    pattern = re.compile(BOUNDARY.format(f"({word})"), re.IGNORECASE)
    found = []
    for path in texts():
        place = path.relative_to(ROOT).as_posix()
        if place in CONVERTERS:
            continue
        if pattern.search(place.replace("/", " ")):
            found.append(place)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{place}:{number}: {line.strip()[:90]}")
    assert found == [], f"write: {BANNED[word]}"


@pytest.mark.parametrize("word", ["Strangers", "stranger_loss", "had never met", "carried out"])
def test_the_patterns_find_their_words(word):
    assert any(re.search(BOUNDARY.format(f"({each})"), word, re.IGNORECASE) for each in BANNED)
