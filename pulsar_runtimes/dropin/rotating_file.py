"""The log handler that the reference's ``logging_config.ini`` names, ``log.CreatePathRotatingFileHandler``."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

_MEBIBYTES = 1 << 20


class CreatePathRotatingFileHandler(logging.handlers.RotatingFileHandler):
    """Makes the directory of its file. The signature is that of the reference, as the ini file gives arguments."""

    def __init__(
        self,
        filename: str,
        mode: str = "a",
        maxBytes: int = 10 * _MEBIBYTES,  # noqa: N803
        backupCount: int = 5,  # noqa: N803
        encoding: str | None = None,
        delay: bool = False,
    ) -> None:
        Path(filename).parent.mkdir(parents=True, exist_ok=True)
        super().__init__(filename, mode, maxBytes, backupCount, encoding, delay)


def answer_to_its_name() -> None:
    """Let ``logging.config`` find it, without a module ``log`` that would hide one of the function.

    It looks for a class among the names of ``logging`` first, and ``log`` is one: a function.
    """
    logging.log.CreatePathRotatingFileHandler = CreatePathRotatingFileHandler  # type: ignore[attr-defined]
