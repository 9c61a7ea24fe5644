"""How much memory a process holds."""

from __future__ import annotations

import os

from pulsar_runtimes.runtimes.process.memory import proportional_memory


def test_a_process_that_is_there_holds_some() -> None:
    assert (proportional_memory(os.getpid()) or 0) > 1 << 20


def test_of_one_that_is_gone_nothing_is_known() -> None:
    assert proportional_memory(2**22 + 1) is None
