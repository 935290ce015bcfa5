"""Make a speech recogniser forget chosen speakers, and prove how well it did."""

from typing import TYPE_CHECKING, Any

from asr_unlearn.runtime.version import __version__

if TYPE_CHECKING:
    from asr_unlearn.api.deletion_check import RecordCheck, verify
    from asr_unlearn.api.evaluating import evaluate
    from asr_unlearn.api.in_memory import Unlearned
    from asr_unlearn.api.purging import Purged, purge
    from asr_unlearn.api.reports import Report, report
    from asr_unlearn.api.splitting import WrittenSplit, split
    from asr_unlearn.api.training import Trained, train
    from asr_unlearn.api.unlearning import PublishedModel, unlearn
    from asr_unlearn.data.manifest import Utterance, read_manifest
    from asr_unlearn.evaluation.evaluate import Evaluation
    from asr_unlearn.methods import METHODS, Method
    from asr_unlearn.models.adapters import Lora
    from asr_unlearn.models.loading import load_model
    from asr_unlearn.models.tasks.compute import Compute
    from asr_unlearn.training.stop_rule import Stop

__all__ = [
    "METHODS",
    "Compute",
    "Evaluation",
    "Lora",
    "Method",
    "PublishedModel",
    "Purged",
    "RecordCheck",
    "Report",
    "Stop",
    "Trained",
    "Unlearned",
    "Utterance",
    "WrittenSplit",
    "__version__",
    "evaluate",
    "load_model",
    "purge",
    "read_manifest",
    "report",
    "split",
    "train",
    "unlearn",
    "verify",
]

_MODULES = {
    "METHODS": "methods",
    "Compute": "models.tasks.compute",
    "Evaluation": "evaluation.evaluate",
    "Lora": "models.adapters",
    "Method": "methods",
    "PublishedModel": "api.unlearning",
    "Purged": "api.purging",
    "RecordCheck": "api.deletion_check",
    "Report": "api.reports",
    "Stop": "training.stop_rule",
    "Trained": "api.training",
    "Unlearned": "api.in_memory",
    "Utterance": "data.manifest",
    "WrittenSplit": "api.splitting",
    "evaluate": "api.evaluating",
    "load_model": "models.loading",
    "purge": "api.purging",
    "read_manifest": "data.manifest",
    "report": "api.reports",
    "split": "api.splitting",
    "train": "api.training",
    "unlearn": "api.unlearning",
    "verify": "api.deletion_check",
}


def __getattr__(name: str) -> Any:
    """Import the Python functions on first use: preparing data should not wait for torch."""
    import importlib

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
