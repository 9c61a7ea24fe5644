"""pfrun's pytest plugin: ``broker_url``, ``fake_clock``, and ``golden`` with ``--update-golden``.

pytest loads this in every run of everybody who has pfrun installed, hence all the work is imported late.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .clock import FakeClock
    from .golden import Golden

# So that a failing check of the conformance class shows its values, as one in a test file does.
pytest.register_assert_rewrite("pulsar_runtimes.testing.conformance", "pulsar_runtimes.testing.bench")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("pfrun").addoption(
        "--update-golden",
        action="store_true",
        help="rewrite the golden files under tests/golden instead of comparing with them",
    )


@pytest.fixture(scope="session")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service URL of an embedded broker that all tests of the run share: give each topics of its own."""
    if importlib.util.find_spec("pulsar_lite") is None:
        pytest.skip("pulsar-lite, the embedded broker, is not installed")
    from pulsar_runtimes.brokers.lite import LiteBroker

    broker = LiteBroker.from_state_dir(tmp_path_factory.mktemp("broker"), os.environ)
    yield broker.start()
    broker.stop(grace_seconds=5.0)


@pytest.fixture
def fake_clock() -> FakeClock:
    """A monotonic clock that only the test moves."""
    from .clock import FakeClock

    return FakeClock()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """``golden(name, text, placeholders)`` compares ``text`` with ``tests/golden/<name>`` under pytest's rootdir."""
    from .golden import Golden

    return Golden(request.config.rootpath / "tests" / "golden", bool(request.config.getoption("--update-golden")))
