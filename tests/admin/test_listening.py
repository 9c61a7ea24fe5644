"""Where the admin API listens."""

from __future__ import annotations

import pytest

from pulsar_runtimes.admin.listening import listening_host
from pulsar_runtimes.model.errors import ConfigError


@pytest.mark.parametrize(
    ("authenticated", "insecure", "host"),
    [(False, False, "127.0.0.1"), (True, False, "0.0.0.0"), (False, True, "0.0.0.0"), (True, True, "0.0.0.0")],
)
def test_strangers_reach_it_only_with_authentication_or_when_told_so(
    authenticated: bool, insecure: bool, host: str
) -> None:
    assert listening_host(authenticated=authenticated, insecure=insecure) == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_may_always_be_named(host: str) -> None:
    assert listening_host(authenticated=False, host=host) == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "worker.example", "localhost.example", "127.0.0.1.x"])
def test_another_address_needs_authentication(host: str) -> None:
    assert listening_host(authenticated=True, host=host) == host
    assert listening_host(authenticated=False, insecure=True, host=host) == host
    with pytest.raises(ConfigError, match=f"^authenticationEnabled: must be true, .* on {host}: .*--insecure"):
        listening_host(authenticated=False, host=host)
