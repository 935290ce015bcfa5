"""No code that comes with a model is run."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOADERS = (".from_pretrained", ".from_config")


def calls():
    """Every call that loads a model, a config or a processor."""
    for package in ("asr_unlearn", "data_prep"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                # Not a matrix, which is no model.
                if called.endswith(LOADERS) and called != "nn.Embedding.from_pretrained":
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_every_loader_refuses_remote_code():
    found = dict(calls())
    assert len(found) >= 5
    for place, call in found.items():
        given = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert given.get("trust_remote_code") == "False", place
