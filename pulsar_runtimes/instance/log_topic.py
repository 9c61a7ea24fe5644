"""A function's log topic: what is logged during a call of the function goes there too."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from .output import Publishers


class LogTopicHandler(logging.Handler):
    """Publishes each line as ``[time] [LEVEL]: message``, the reference's form.

    ``wanted`` says whether the calling thread is in the function; only such lines are published. A failure to
    publish is dropped: logging it would come back here.

    The choice is made in ``filter``, before the handler's lock: a line that is not wanted must never wait for one
    that is being published, which may itself wait for the very thread that logs.
    """

    def __init__(self, topic: str, publishers: Publishers, wanted: Callable[[], bool]) -> None:
        super().__init__()
        self._topic = topic
        self._publishers = publishers
        self._wanted = wanted
        self._publishing = threading.local()
        self.setFormatter(logging.Formatter("[%(asctime)s] [%(levelname)s]: %(message)s"))

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(self._publishing, "now", False) and self._wanted() and bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        self._publishing.now = True
        try:
            self._publishers.send(self._topic, self.format(record).encode(), lambda result, message_id: None)
        except Exception:
            self.handleError(record)
        finally:
            self._publishing.now = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is the library's
        """Stay silent: there is no other place to tell it, and the line is in the instance's own log."""
