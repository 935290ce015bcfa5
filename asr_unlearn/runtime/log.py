"""Notices that are given once a process, however often there is cause."""

import logging
from functools import cache

logger = logging.getLogger("asr_unlearn")


@cache
def warn_once(sentence: str) -> None:
    """Log a warning the first time that it is given."""
    logger.warning(sentence)
