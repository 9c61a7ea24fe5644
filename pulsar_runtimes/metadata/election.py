"""Which workers there are, and which of them leads. Source: ``LeaderService``, ``MembershipManager``.

Every worker has a consumer on the coordination topic, all on one failover subscription. The consumer that the broker
calls active is the leader; the consumers that it has are the workers. Nothing is ever published there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from pulsar_runtimes.instance.client import ConsumerType, InitialPosition, PulsarException
from pulsar_runtimes.model.errors import MetadataError

from .admin_client import AdminClient
from .topic_admin import topic_stats
from .topic_reader import close_quietly

SUBSCRIPTION = "participants"
ID_PROPERTY = "id"

POLL_SECONDS = 1.0
LOST_SECONDS = 30.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """A worker that is there, and where its REST API listens."""

    worker_id: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``<workerId>:<host>:<port>``; ``ValueError`` for anything else."""
        worker_id, host, port = text.rsplit(":", 2)
        if not worker_id or not host:
            raise ValueError(f"must be workerId:host:port (got {text!r})")
        return cls(worker_id, host, int(port))

    def __str__(self) -> str:
        return f"{self.worker_id}:{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Membership:
    """The workers at one moment, in order. There is no ``leader`` while the broker chooses one."""

    members: tuple[Member, ...] = ()
    leader: Member | None = None


class Election:
    """Takes part for ``me`` on ``topic``.

    ``admin`` is ``None`` for a broker without admin REST API, such as pulsar-lite: whoever uses that is alone, and
    leads. ``client`` and ``admin`` stay the caller's.
    """

    def __init__(
        self,
        client: Any,
        topic: str,
        me: Member,
        admin: AdminClient | None,
        *,
        poll_seconds: float = POLL_SECONDS,
        lost_seconds: float = LOST_SECONDS,
    ) -> None:
        self._client = client
        self._topic = topic
        self._me = me
        self._admin = admin
        self._poll_seconds = poll_seconds
        self._lost_seconds = lost_seconds
        self._consumer: Any = None
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._leads = False
        self._has_begun = False
        self._is_told = False
        self._seen = Membership()

    @property
    def leads(self) -> bool:
        """Whether this worker leads, and has done what that takes."""
        return self._leads

    @property
    def seen(self) -> Membership:
        """What was seen last, mostly not longer ago than ``poll_seconds``; costs nothing."""
        return self._seen

    def look(self) -> Membership:
        """What the broker says now, which is :attr:`seen` from then on. ``MetadataError`` when it cannot be asked."""
        if self._admin is None:
            self._seen = Membership((self._me,), self._me)
        else:
            self._seen = read_membership(topic_stats(self._admin, self._topic))
        return self._seen

    def join(self, on_gain: Callable[[], None], on_loss: Callable[[], None]) -> None:
        """Take part from now on. Once only. ``MetadataError`` when the topic cannot be used.

        ``on_gain`` is called when this worker is to lead; it leads when that returns. If it raises, it is called again
        as long as the broker wants this worker. ``on_loss`` is called when it is not to lead any more, even if it
        never got there: another one is, or the broker could not be asked for ``lost_seconds``. Both come one after
        the other, on one thread.
        """
        if self._admin is not None:
            try:
                self._consumer = self._client.subscribe(
                    self._topic,
                    SUBSCRIPTION,
                    consumer_type=ConsumerType.Failover,
                    consumer_name=str(self._me),
                    properties={ID_PROPERTY: str(self._me)},
                    initial_position=InitialPosition.Earliest,
                )
            except PulsarException as error:
                raise MetadataError(f"{self._topic}: cannot take part in the election: {error}") from None
        self._thread = threading.Thread(target=self._run, args=(on_gain, on_loss), name="election", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave. ``on_loss`` is called before this returns, if ``on_gain`` was. Idempotent."""
        self._ended.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        if self._consumer is not None:
            close_quietly(self._consumer)
            self._consumer = None

    def _run(self, on_gain: Callable[[], None], on_loss: Callable[[], None]) -> None:
        answered = time.monotonic()
        while not self._ended.is_set():
            try:
                seen = self.look()
            except MetadataError as error:
                if not self._is_told:
                    _logger.warning("%s: cannot tell who leads: %s", self._topic, error)
                wanted, self._is_told = self._leads and time.monotonic() - answered < self._lost_seconds, True
            else:
                wanted, self._is_told = seen.leader == self._me, False
                answered = time.monotonic()
            self._turn(wanted, on_gain, on_loss)
            self._ended.wait(self._poll_seconds)
        self._turn(False, on_gain, on_loss)

    def _turn(self, wanted: bool, on_gain: Callable[[], None], on_loss: Callable[[], None]) -> None:
        """Call what is due. A worker leads neither while it prepares for that, nor when it begins to let go."""
        if wanted == (self._leads if wanted else self._has_begun):
            return
        self._leads, self._has_begun = False, wanted
        try:
            (on_gain if wanted else on_loss)()
        except MetadataError as error:
            _logger.warning("%s: could not %s to lead: %s", self._me, "begin" if wanted else "cease", error)
        except Exception:
            _logger.exception("%s: could not %s to lead", self._me, "begin" if wanted else "cease")
        else:
            self._leads = wanted
            _logger.info("%s: %s", self._me, "leads now" if wanted else "does not lead any more")


def read_membership(stats: dict[str, Any]) -> Membership:
    """The workers in the statistics of the coordination topic. A consumer that is no worker is passed over."""
    subscription = stats.get("subscriptions", {}).get(SUBSCRIPTION, {})
    members: dict[str, Member] = {}
    for consumer in subscription.get("consumers", ()):
        try:
            members[consumer.get("consumerName", "")] = Member.parse(consumer["metadata"][ID_PROPERTY])
        except (KeyError, ValueError):
            continue
    return Membership(tuple(sorted(members.values())), members.get(subscription.get("activeConsumerName", "")))
