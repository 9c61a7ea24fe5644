"""The log file of an instance: rotated by size, with the last lines at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulsar_runtimes.runtimes.process import log_file
from pulsar_runtimes.runtimes.process.log_file import RotatingLog, read_last_lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "functions" / "f-0.log"


@pytest.fixture
def log(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RotatingLog]:
    monkeypatch.setattr(log_file, "MAX_BYTES", 20)
    monkeypatch.setattr(log_file, "BACKUPS", 2)
    log = RotatingLog(path, kept_lines=3)
    yield log
    log.close()


def contents(path: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted(path.parent.iterdir())}


def test_the_limits_are_those_of_the_reference() -> None:
    assert (log_file.MAX_BYTES, log_file.BACKUPS) == (10 << 20, 5)


def test_a_full_file_is_renamed_and_the_oldest_is_dropped(log: RotatingLog, path: Path) -> None:
    for number in range(1, 8):
        log.write(f"line {number:04}\n".encode())
    assert contents(path) == {
        "f-0.log": "line 0007\n",
        "f-0.log.1": "line 0005\nline 0006\n",
        "f-0.log.2": "line 0003\nline 0004\n",
    }


def test_a_file_of_an_earlier_run_is_continued_and_counts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "MAX_BYTES", 20)
    for text in (b"earlier run\n", b"later\n", b"latest\n"):
        log = RotatingLog(path)
        log.write(text)
        log.close()
    assert contents(path) == {"f-0.log": "latest\n", "f-0.log.1": "earlier run\nlater\n"}


def test_the_last_lines_are_kept_over_a_rotation_and_in_pieces(log: RotatingLog) -> None:
    for piece in (b"one\ntw", b"o\n", b"three\nfour\nfi", b"ve"):
        log.write(piece)
    assert log.last_lines() == ["two", "three", "four", "five"]


def test_bytes_that_are_no_text_do_no_harm(log: RotatingLog, path: Path) -> None:
    log.write(b"\xff\xfe\n")
    assert log.last_lines() == ["\ufffd\ufffd"]
    assert read_last_lines(path, 1) == ["\ufffd\ufffd"]


def test_a_disk_that_is_full_loses_lines_and_nothing_else(log: RotatingLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        log.write(b"lost\n")
    log.write(b"kept\n")
    assert log.last_lines() == ["lost", "kept"]


def test_a_rotation_that_fails_half_way_keeps_the_file_it_has(log: RotatingLog, path: Path) -> None:
    log.write(b"0123456789012345678\n")
    path.unlink()
    path.parent.rmdir()
    log.write(b"nowhere to go\n")
    path.parent.mkdir()
    path.touch()
    log.write(b"after\n")
    assert contents(path) == {"f-0.log": "after\n", "f-0.log.1": ""}


@pytest.mark.parametrize(("last", "lines"), [(0, []), (1, ["c"]), (2, ["b", "c"]), (9, ["a", "b", "c"])])
def test_the_last_lines_of_a_file_are_read(last: int, lines: list[str], tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a\nb\nc\n")
    assert read_last_lines(tmp_path / "log", last) == lines


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert read_last_lines(tmp_path / "log", 5) == []
