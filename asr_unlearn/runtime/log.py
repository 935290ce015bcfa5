"""Warnings that are logged once a process."""

import logging
from functools import cache

logger = logging.getLogger("asr_unlearn")


@cache
def warn_once(sentence: str) -> None:
    """Log a warning, the first time only."""
    logger.warning(sentence)
