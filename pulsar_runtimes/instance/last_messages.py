"""The message that each input of an instance took last, kept where its launcher finds it after a death.

Nobody can ask an instance that was killed which message it had in hand. So it writes each one's topic and id into
memory that outlives it: a file without a name, whose descriptor the launcher put into ``PFRUN_LAST_MESSAGES_FD``. A
write is a copy into a mapped page, without a system call. There is one slot for each input, of text that ends with a
zero byte.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, MutableMapping
from typing import Any

from .environment import LAST_MESSAGES_VARIABLE

_SLOT_BYTES = 1024

Note = Callable[[Any, Any], None]
"""Called with a raw message and its id, before the function is."""


class LastMessages:
    """Slots in ``memory``, which is made for ``inputs`` of them."""

    def __init__(self, memory: bytearray | mmap.mmap) -> None:
        self._memory = memory

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str], inputs: int) -> LastMessages | None:
        """In the memory that a launcher provides, taken out of the environment; ``None`` when there is none."""
        text = environment.pop(LAST_MESSAGES_VARIABLE, "")
        if not text.isdigit() or not inputs:
            return None
        descriptor, size = int(text), inputs * _SLOT_BYTES
        try:
            os.ftruncate(descriptor, size)
            return cls(mmap.mmap(descriptor, size))
        finally:
            os.close(descriptor)  # the mapping has its own, which the function's children do not inherit

    @classmethod
    def in_process(cls, inputs: int) -> LastMessages:
        """In memory of this process, for an instance that is a thread of whoever wants to know."""
        return cls(bytearray(inputs * _SLOT_BYTES))

    def note_for(self, number: int, topic: str | None) -> Note:
        """What input ``number`` calls for each message. ``topic`` is ``None`` where every message has its own."""
        memory, start = self._memory, number * _SLOT_BYTES

        def note(message: Any, message_id: Any) -> None:
            text = f"{topic or message.topic_name()} {message_id}".encode()[: _SLOT_BYTES - 1] + b"\0"
            memory[start : start + len(text)] = text

        return note

    def told(self) -> list[str]:
        """What stands there now."""
        return read_last_messages(bytes(self._memory))


def read_last_messages(memory: bytes) -> list[str]:
    """``topic (ledger,entry,partition,batch index)`` for each input that took a message."""
    slots = (memory[start : start + _SLOT_BYTES] for start in range(0, len(memory), _SLOT_BYTES))
    texts = (slot.partition(b"\0")[0].decode(errors="replace") for slot in slots)
    return ["".join(letter if letter.isprintable() else "?" for letter in text) for text in texts if text]
