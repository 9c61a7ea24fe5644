"""pfrun's pytest plugin: ``fake_clock``, and ``golden`` with ``--update-golden``.

pytest loads this in every run of everybody who has pfrun installed, hence all the work is imported late.
"""

from __future__ import annotations

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
