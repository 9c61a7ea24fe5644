"""A file whose content is read again when it changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from pulsar_runtimes.model.errors import PfrunError

T = TypeVar("T")
Stamp = tuple[int, int, int, int]

_log = logging.getLogger(__name__)


def stamp(path: Path) -> Stamp:
    """What differs as soon as a file is written anew, or another takes its place. ``OSError`` when there is none."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class WatchedFile(Generic[T]):
    """What ``parse`` makes of the bytes of a file, always those of now. Safe for several threads.

    A file that is gone or has become unusable is logged once, and the last good value goes on: a key that is being
    replaced must shut nobody out. ``parse`` raises ``ValueError`` or ``PfrunError`` with a text that holds nothing of
    the content.
    """

    def __init__(self, path: Path, parse: Callable[[bytes], T]) -> None:
        """Reads the file. ``OSError``, or what ``parse`` raises, when that cannot be done."""
        self._path = path
        self._parse = parse
        self._lock = threading.Lock()
        self._stamp: Stamp | None = stamp(path)
        self._value = parse(path.read_bytes())

    def value(self) -> T:
        """The value of now."""
        with self._lock:
            now = self._look()
            if now != self._stamp:
                self._stamp = now
                self._read()
            return self._value

    def _look(self) -> Stamp | None:
        try:
            return stamp(self._path)
        except OSError:
            return None

    def _read(self) -> None:
        try:
            self._value = self._parse(self._path.read_bytes())
        except OSError as error:
            _log.error("%s: cannot be read (%s); what it held before still counts", self._path, error.strerror)
        except (ValueError, PfrunError) as error:
            _log.error("%s: %s; what it held before still counts", self._path, error)
        else:
            _log.info("%s: has changed, and was read again", self._path)
