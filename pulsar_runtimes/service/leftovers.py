"""What a deleted function leaves with the brokers: its subscriptions, and a batch source the topic inside it.

Source: ``FunctionActioner#terminateFunction`` of Apache Pulsar 4.0.8, which makes ten tries, one second apart.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from pulsar_runtimes.metadata.admin_client import AdminError
from pulsar_runtimes.metadata.topic_admin import namespace_path, path_segment, topic_path
from pulsar_runtimes.model.component import BATCH_CONFIG_KEY
from pulsar_runtimes.model.errors import MetadataError
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.model.names import full_topic

REQUEST_SECONDS = 5.0
"""How long a broker may take for one of the requests."""

_PATIENCE_SECONDS = 15.0
"""Instances of other workers have 10 seconds to end; until then the brokers refuse, as they are still connected."""

_RETRY_SECONDS = 1.0
_MISSING = 404
_NOT_ALLOWED = (401, 403)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing to take away: what it is, for the log, and the request that does it."""

    title: str
    method: str
    path: str


def leftovers(function: FunctionSpec) -> list[Leftover]:
    """What has to be taken away when ``function`` is deleted, in this order.

    With ``cleanupSubscription`` the subscription of each input; for an input that is a pattern, of that name in the
    whole namespace. What is between the halves of a batch source goes in any case.
    """
    found: list[Leftover] = []
    if function.source.cleanup_subscription:
        for topic, consumer in function.source.input_specs.items():
            found.append(_subscription(full_topic(topic), function.subscription_name, consumer.is_regex_pattern))
    return [*found, *_between_halves(function)]


def _subscription(topic: str, name: str, is_pattern: bool) -> Leftover:
    title = f"subscription {name} of {topic}"
    if is_pattern:
        namespace = f"/admin/v2/namespaces/{namespace_path(topic)}"
        return Leftover(title, "POST", f"{namespace}/unsubscribe/{path_segment(name)}")
    return Leftover(title, "DELETE", f"{topic_path(topic)}/subscription/{path_segment(name)}")


def _between_halves(function: FunctionSpec) -> Iterator[Leftover]:
    if BATCH_CONFIG_KEY in function.source.configs:
        topic = f"persistent://{function.tenant}/{function.namespace}/{function.name}-intermediate"
        yield _subscription(topic, f"BatchSourceExecutor-{function.key}", is_pattern=False)
        yield Leftover(f"topic {topic}", "DELETE", f"{topic_path(topic)}?force=true")


class Brokers(Protocol):
    """Their admin API. ``AdminError`` for a refusal, ``MetadataError`` for no answer."""

    def post(self, path: str) -> Any: ...

    def delete(self, path: str) -> Any: ...


class Cleaner:
    """Takes away what functions leave, with the brokers' ``admin`` API; ``None`` where they have none."""

    def __init__(
        self,
        admin: Brokers | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._admin = admin
        self._clock = clock
        self._sleep = sleep

    def has_work(self, function: FunctionSpec) -> bool:
        """Whether there is anything that can be taken away."""
        return self._admin is not None and bool(leftovers(function))

    def clean(self, function: FunctionSpec, is_back: Callable[[], bool] = lambda: False) -> None:
        """Take away all that ``function`` leaves. It has been deleted, and what ran of it here has ended.

        Waits some seconds for those that are still connected. What stays is logged; it goes on no longer when
        ``is_back`` tells that the function is there again.
        """
        waiting = [(each, "") for each in leftovers(function)]
        if self._admin is None:
            for each, _ in waiting:
                _log.info("%s: %s stays: this broker has no admin API", function.key, each.title)
            return
        deadline = self._clock() + _PATIENCE_SECONDS
        while waiting and not is_back():
            waiting = [(each, why) for each, _ in waiting if (why := self._take_away(self._admin, function, each))]
            if self._clock() > deadline:
                break
            if waiting:
                self._sleep(_RETRY_SECONDS)
        for each, why in waiting:
            _log.error("%s: %s stays: %s", function.key, each.title, why or "the function is there again")

    def _take_away(self, admin: Brokers, function: FunctionSpec, what: Leftover) -> str:
        """Why it has to be tried again; empty when it is gone, or no other try would help."""
        try:
            (admin.post if what.method == "POST" else admin.delete)(what.path)
        except AdminError as error:
            if error.status in _NOT_ALLOWED:
                _log.error("%s: %s stays: %s", function.key, what.title, error)
            elif error.status != _MISSING:
                return str(error)
        except MetadataError as error:
            return str(error)
        return ""
