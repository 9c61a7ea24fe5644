"""What is left of an instance that was killed: which messages it took last."""

from __future__ import annotations

import os

import pytest

from pulsar_runtimes.instance.last_messages import LastMessages, read_last_messages


class Message:
    def __init__(self, topic: str) -> None:
        self._topic = topic

    def topic_name(self) -> str:
        return self._topic


def test_each_input_has_a_place_of_its_own() -> None:
    messages = LastMessages.in_process(3)
    first, last = messages.note_for(0, "orders"), messages.note_for(2, None)
    for number in range(3):
        first(Message("orders"), (1, number))
    last(Message("of-a-pattern"), (7, 7))
    assert messages.told() == ["orders (1, 2)", "of-a-pattern (7, 7)"]


def test_a_shorter_text_leaves_nothing_of_the_longer_one_before() -> None:
    messages = LastMessages.in_process(1)
    note = messages.note_for(0, "t")
    note(Message("t"), "a long identifier")
    note(Message("t"), "short")
    assert messages.told() == ["t short"]


def test_a_name_that_is_too_long_stays_in_its_place() -> None:
    messages = LastMessages.in_process(2)
    messages.note_for(1, "second")(None, 2)
    messages.note_for(0, "x" * 5000)(None, 1)
    first, second = messages.told()
    assert first == "x" * 1023
    assert second == "second 2"


def test_the_memory_of_a_launcher_is_read_after_the_instance() -> None:
    descriptor = os.memfd_create("test")
    inherited = os.dup(descriptor)
    environment = {"PFRUN_LAST_MESSAGES_FD": str(inherited)}
    messages = LastMessages.from_environment(environment, 1)
    assert messages is not None
    messages.note_for(0, "t")(None, 1)
    del messages
    assert read_last_messages(os.pread(descriptor, 4096, 0)) == ["t 1"]
    assert environment == {}
    with pytest.raises(OSError, match="Bad file descriptor"):  # the children of the function would inherit it
        os.fstat(inherited)
    os.close(descriptor)


@pytest.mark.parametrize("environment", [{}, {"PFRUN_LAST_MESSAGES_FD": "none"}])
def test_without_a_launcher_nothing_is_kept(environment: dict[str, str]) -> None:
    assert LastMessages.from_environment(environment, 1) is None


@pytest.mark.parametrize(
    ("memory", "told"),
    [(b"", []), (b"\0" * 2048, []), (b"bad\xff\n\x1b[2J\0", ["bad\ufffd??[2J"]), (b"no end", ["no end"])],
)
def test_what_a_function_may_have_written_over_it_does_no_harm(memory: bytes, told: list[str]) -> None:
    assert read_last_messages(memory) == told
