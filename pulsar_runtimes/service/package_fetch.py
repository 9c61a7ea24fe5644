"""Fetching a package over HTTP, bounded in size and time. The one place where the service asks other hosts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import httpx

from .errors import RefusedError
from .package_urls import without_password

_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """``wait_seconds`` bounds each wait for the other side, ``seconds`` the whole."""

    max_bytes: int = 2 << 30
    wait_seconds: float = 30.0
    seconds: float = 600.0


def fetch_package(url: str, target: BinaryIO, allows: Callable[[str], bool], limits: FetchLimits | None = None) -> None:
    """Write what is at ``url`` to ``target``. ``RefusedError`` when that does not work, or is more than allowed.

    ``allows`` is asked about ``url`` and each redirect. Proxies and credentials of the environment are not used.
    """
    limits = limits or FetchLimits()
    deadline = time.monotonic() + limits.seconds
    try:
        with httpx.Client(timeout=limits.wait_seconds, trust_env=False) as client:
            for _ in range(_MOST_REDIRECTS + 1):
                if not allows(url):
                    raise _failure(url, "it redirects to a place that is not allowed")
                with client.stream("GET", url) as answer:
                    if answer.status_code in _REDIRECTS and "location" in answer.headers:
                        url = str(answer.url.join(answer.headers["location"]))
                        continue
                    _copy(url, answer, target, limits.max_bytes, deadline)
                    return
            raise _failure(url, f"more than {_MOST_REDIRECTS} redirects")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _failure(url, str(error) or type(error).__name__) from None


def _copy(url: str, answer: httpx.Response, target: BinaryIO, max_bytes: int, deadline: float) -> None:
    if answer.status_code != 200:
        raise _failure(url, f"the answer is {answer.status_code}")
    size = 0
    for chunk in answer.iter_bytes():
        size += len(chunk)
        if size > max_bytes:
            raise _failure(url, f"it is larger than {max_bytes} bytes")
        if time.monotonic() > deadline:
            raise _failure(url, "it takes too long")
        target.write(chunk)


def _failure(url: str, reason: str) -> RefusedError:
    return RefusedError(f'Encountered error "{reason}" when getting package from {without_password(url)}')
