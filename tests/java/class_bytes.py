"""Class files without a compiler: just enough of one for what pfrun reads."""

from __future__ import annotations

import struct


def class_bytes(
    name: str, *, super_name: str | None = "java.lang.Object", interfaces: tuple[str, ...] = (), signature: str = ""
) -> bytes:
    """A public class with one field and one method, each with an attribute."""
    constants: list[bytes] = []

    def add(constant: bytes) -> int:
        constants.append(constant)
        return len(constants)

    def text(value: str) -> int:
        raw = value.encode("utf-8", "surrogatepass").replace(b"\0", b"\xc0\x80")
        return add(struct.pack(">BH", 1, len(raw)) + raw)

    def reference(value: str) -> int:
        return add(struct.pack(">BH", 7, text(value.replace(".", "/"))))

    add(struct.pack(">Bq", 5, 1))
    constants.append(b"")  # a long takes two places
    code, word = text("Code"), text("x")
    # Their number, then of the only one: flags, name, type, number of attributes, and the attribute.
    member = struct.pack(">HHHHHHI", 1, 1, word, word, 1, code, 3) + b"abc"
    this = reference(name)
    parent = reference(super_name) if super_name else 0
    implemented = [reference(interface) for interface in interfaces]
    attributes = [struct.pack(">HI", code, 2) + b"ab"]
    if signature:
        attributes.append(struct.pack(">HIH", text("Signature"), 2, text(signature)))
    return b"".join(
        [
            struct.pack(">IHHH", 0xCAFEBABE, 0, 61, len(constants) + 1),
            *constants,
            struct.pack(f">4H{len(implemented)}H", 0x21, this, parent, len(implemented), *implemented),
            member,
            member,
            struct.pack(">H", len(attributes)),
            *attributes,
        ]
    )
