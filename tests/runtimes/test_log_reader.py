"""Reading on in a log that is written and rotated meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pulsar_runtimes.runtimes.base import LogPart
from pulsar_runtimes.runtimes.process import log_file, log_reader
from pulsar_runtimes.runtimes.process.log_file import RotatingLog
from pulsar_runtimes.runtimes.process.log_reader import read_log_after


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "f-0.log"


@pytest.fixture
def log(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RotatingLog]:
    monkeypatch.setattr(log_file, "MAX_BYTES", 20)
    log = RotatingLog(path)
    yield log
    log.close()


def read_all(path: Path, mark: str) -> tuple[list[str], str]:
    """Everything after ``mark``, asked for until there is no more."""
    lines: list[str] = []
    while (part := read_log_after(path, mark, 0)).lines:
        lines += part.lines
        mark = part.mark
    return lines, part.mark


def test_a_log_that_is_not_there_has_no_lines(path: Path) -> None:
    assert read_log_after(path, "", 10) == LogPart((), "")
    assert read_log_after(path, "5-7", 10) == LogPart((), "5-7")


def test_without_a_mark_the_last_lines_are_told(path: Path, log: RotatingLog) -> None:
    log.write(b"a\nb\nc\nd")
    assert read_log_after(path, "", 2).lines == ("b", "c")
    assert read_log_after(path, "", 0).lines == ()


def test_each_line_is_told_once_and_when_it_is_whole(path: Path, log: RotatingLog) -> None:
    log.write(b"a\nb")
    mark = read_log_after(path, "", 10).mark
    assert read_all(path, mark) == ([], mark)
    log.write(b"c\n")
    lines, mark = read_all(path, mark)
    assert lines == ["bc"]
    assert read_all(path, mark) == ([], mark)


def test_rotation_loses_nothing(path: Path, log: RotatingLog) -> None:
    log.write(b"line 0\n")
    mark = read_log_after(path, "", 10).mark
    told: list[str] = []
    for number in range(1, 40):
        log.write(f"line {number}\n".encode())
        if number % 4 == 0:
            lines, mark = read_all(path, mark)
            told += lines
    assert told == [f"line {number}" for number in range(1, 37)]


def test_equal_lines_are_told_as_often_as_they_were_written(path: Path, log: RotatingLog) -> None:
    log.write(b"tick\n" * 2)
    mark = read_log_after(path, "", 10).mark
    log.write(b"tick\n")
    log.write(b"tick\n")
    assert read_all(path, mark)[0] == ["tick"] * 2


@pytest.mark.parametrize("mark", ["0-3", "nonsense", "1", "-", "9-x"])
def test_a_mark_that_means_nothing_gives_the_oldest_lines(path: Path, log: RotatingLog, mark: str) -> None:
    for number in range(8):
        log.write(f"line {number}\n".encode())
    assert read_all(path, mark)[0] == [f"line {number}" for number in range(8)]


def test_a_long_log_comes_in_parts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reader, "PART_BYTES", 10)
    path.write_text("aaa\nbbb\nccc\n" + "x" * 25 + "\nend\n")
    first = read_log_after(path, "nothing", 0)
    assert first.lines == ("aaa", "bbb")
    assert "".join(read_all(path, first.mark)[0]) == "ccc" + "x" * 25 + "end"
    assert read_log_after(path, "", 5).lines == ("end",)


def test_bytes_that_are_no_text_are_told_somehow(path: Path) -> None:
    path.write_bytes(b"\xff\n\r\x0b\n")
    assert len(read_log_after(path, "", 5).lines) == 2
