"""What commands print with --json: results for scripts, as one JSON document."""

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from asr_unlearn.api.deletion_check import RecordCheck
from asr_unlearn.api.reports import Report
from asr_unlearn.api.splitting import WrittenSplit
from asr_unlearn.api.tuning import Search
from asr_unlearn.evaluation.evaluate import Evaluation
from asr_unlearn.methods import Method

JSON = "--json"
JSON_HELP = "print the result as JSON, for scripts"


def as_json(result: Any) -> Any:
    """Return a command's result as JSON can write it; paths are text by `json.dumps(default=str)`.

    An evaluation is its results.json; of a split the utterances of each part are counted; other
    results have the names of their attributes.
    """
    match result:
        case Evaluation():
            return result.results
        case Report():
            return {"markdown": result.markdown, "html": result.html}
        case WrittenSplit():
            split = result.split
            counts = {part: len(ids) for part, ids in split.parts.items()}
            names = ("forget_speakers", "forget_labels", "unseen_speakers", "forgotten_speakers")
            named = {name: getattr(split, name) for name in names}
            return {"path": result.path, **named, "utterances": counts}
        case Search():
            trials = [{"cost": trial.value, "options": trial.params} for trial in result.trials]
            best = {"method": result.method, "options": result.options, "flags": result.flags()}
            return {**best, "trials": trials}
        case RecordCheck():
            earlier = as_json(result.earlier) if result.earlier else None
            return {**_shallow(result), "changed": result.changed, "earlier": earlier}
        case Mapping():
            return {name: _method(method) for name, method in result.items()}
    return asdict(result) if is_dataclass(result) and not isinstance(result, type) else result


def _method(method: type[Method]) -> dict[str, Any]:
    options = {field.name: field.default for field in fields(method)}
    return {"paper": method.paper, "needs": method.needs, "options": options}


def _shallow(result: Any) -> dict[str, Any]:
    return {field.name: getattr(result, field.name) for field in fields(result)}
