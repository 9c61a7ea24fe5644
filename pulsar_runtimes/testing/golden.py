"""Texts that are compared with a file, and the file rewritten when that is asked for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Golden:
    """Compares a text with the golden file of that name in ``directory``; with ``update`` writes it instead."""

    directory: Path
    update: bool

    def __call__(self, name: str, text: str, placeholders: Mapping[str, str] | None = None) -> None:
        """``AssertionError`` with a unified diff unless ``text`` is what the file ``name`` holds.

        ``placeholders`` leads from what stands in the file, ``<STATE_DIR>`` say, to what stands for it in
        ``text`` in this run.
        """
        got = _with_placeholders(text, placeholders or {})
        path = self.directory / name
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(got, encoding="utf-8")
            return
        if not path.exists():
            raise AssertionError(f"{path}: there is no such golden file; write it with pytest --update-golden")
        want = path.read_text(encoding="utf-8")
        if got != want:
            diff = difflib.unified_diff(
                want.splitlines(), got.splitlines(), f"{name} (golden)", f"{name} (now)", lineterm=""
            )
            difference = "\n".join(diff) or "(only the line ends differ)"
            raise AssertionError(f"{path}: the text differs; if that is right, pytest --update-golden\n{difference}")


def _with_placeholders(text: str, placeholders: Mapping[str, str]) -> str:
    # The longest first: a path may stand inside another one.
    for placeholder, value in sorted(placeholders.items(), key=lambda item: len(item[1]), reverse=True):
        text = text.replace(value, placeholder)
    return text
