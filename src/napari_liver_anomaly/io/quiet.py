"""Mutes the logs of libraries that quote what they read: a line could hold a patient's name, a path or an identifier."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TALKERS = (
    "pydicom", "nibabel", "nibabel.global", "nrrd", "highdicom.base", "highdicom.frame", "highdicom.image", "highdicom.io",
    "highdicom.seg.sop", "highdicom.spatial",
)  # fmt: skip  # a filter holds for the logger itself, not for those below it


@contextmanager
def quietly() -> Iterator[None]:
    """Keep what other readers write into logs from being written, in this block or in a function that this decorates."""
    loggers = [logging.getLogger(name) for name in TALKERS]
    for logger in loggers:
        logger.addFilter(_nothing)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False
