"""Imports run down from package to package, never up and never in a circle."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "asr_unlearn"
FLOORS = [
    {"runtime"},
    {"data", "gradients", "metrics"},
    {"models"},
    {"methods"},
    {"training"},
    {"evaluation"},
    {"reporting"},
    {"api"},
    {"cli"},
]
FLOOR = {package: number for number, packages in enumerate(FLOORS) for package in packages}
# The package's face, and what `python -m` starts.
ENTRIES = {"__init__", "__main__"}


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    """Dotted names of the modules of ours that a file imports, within functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            # `from package import module` is an arrow to the module, not to the package's face.
            for name in (f"{node.module}.{alias.name}" for alias in node.names):
                is_module = (ROOT.parent / (name.replace(".", "/") + ".py")).is_file()
                found.add(name if is_module else node.module)
    return {name for name in found if name.startswith("asr_unlearn.")}


def arrows() -> set[tuple[str, str]]:
    """Every import between two packages, as (importing, imported)."""
    return {
        (package_of(path), name.split(".")[1])
        for path in ROOT.rglob("*.py")
        if package_of(path) not in ENTRIES
        for name in imported(path)
    }


def module_graph() -> dict[str, set[str]]:
    """Module to the modules that it imports; a package is its `__init__`."""
    paths = {
        "asr_unlearn." + ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in ROOT.rglob("*.py")
    }
    names = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    return {name: imported(path) & names.keys() for name, path in names.items()}


def test_every_module_is_in_a_package_of_a_floor():
    packages = {package_of(path) for path in ROOT.rglob("*.py")}
    assert packages == FLOOR.keys() | ENTRIES


def test_there_are_at_most_nine_floors():
    assert len(FLOORS) <= 9


@pytest.mark.parametrize(("above", "below"), sorted(arrows()))
def test_arrows_run_down(above, below):
    assert above == below or FLOOR[above] > FLOOR[below]


def test_packages_are_connected():
    """The compared set is not empty: the test would see an arrow that runs up."""
    assert {above for above, _ in arrows()} == FLOOR.keys()


def test_no_circle_of_modules():
    graph = module_graph()
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name in done:
            return
        for other in graph[name]:
            visit(other, (*way, name))
        done.add(name)

    for name in graph:
        visit(name, ())
    assert len(done) == len(graph) > 100
