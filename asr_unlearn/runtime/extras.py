"""Optional dependencies: `pip install 'asr_unlearn[NAME]'`."""

from importlib.util import find_spec

from asr_unlearn.runtime.errors import InputError

# Extra in pyproject.toml to the module that it installs.
EXTRAS = {
    "tune": "optuna",
    "quickstart": "espeakng_loader",
    "speaker": "speechbrain",
    "sign": "cryptography",
    "lora": "peft",
    "normaliser": "whisper_normalizer",
    "ray": "ray",
    "bitsandbytes": "bitsandbytes",
}


def need_extra(extra: str, purpose: str) -> None:
    """Check that an extra is installed, before its module is imported.

    Args:
        extra: a key of `EXTRAS`.
        purpose: what needs it, as the subject of a sentence.

    Raises:
        InputError: its module cannot be found.
    """
    if find_spec(EXTRAS[extra]) is None:
        raise InputError(
            f"{purpose} needs {EXTRAS[extra]}, which is not installed: "
            f"pip install 'asr_unlearn[{extra}]'"
        )
