"""Packages of functions: laid out as the reference wants them, and hostile ones."""

from __future__ import annotations

import stat
import threading
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pulsar_runtimes.instance.archive import Package, unpack_package
from pulsar_runtimes.model.errors import LaunchError
from tests.instance.wheels import make_wheel


def make_zip(path: Path, files: Mapping[str, str | bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def kept(cache: Path) -> list[str]:
    """What is in the cache beside locks."""
    return [path.name for path in cache.iterdir() if path.suffix != ".lock"] if cache.is_dir() else []


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "down" / "cache"


# The layout


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"fn/src/main.py": "", "fn/deps/": ""}, "fn/src"),
        ({"fn/src/main.py": "", "other/src/main.py": ""}, "fn/src"),
        ({"renamed/src/main.py": ""}, "renamed/src"),
        ({"src/main.py": ""}, "src"),
        ({"fn/main.py": ""}, "fn"),
        ({"main.py": ""}, ""),
        ({"one/src/main.py": "", "two/src/main.py": "", "main.py": ""}, ""),
    ],
)
def test_the_code_of_a_zip_is_where_the_reference_looks(
    files: dict[str, str], code: str, tmp_path: Path, cache: Path
) -> None:
    path = unpack_package(make_zip(tmp_path / "fn.zip", files), cache).code
    (home,) = (cache / name for name in kept(cache))
    assert path == home / "code" / code
    assert (path / "main.py").is_file()


def test_a_wheel_is_unpacked_as_it_is(tmp_path: Path, cache: Path) -> None:
    path = unpack_package(make_wheel(tmp_path, "lonely"), cache).code
    assert (path / "lonely.py").is_file()


# Once for each content


def test_the_same_bytes_are_unpacked_once_and_others_apart(tmp_path: Path, cache: Path) -> None:
    archive = make_zip(tmp_path / "fn.zip", {"main.py": "1"})
    first = unpack_package(archive, cache)
    (first.code / "mark").touch()
    assert unpack_package(archive, cache) == first
    assert (first.code / "mark").is_file()
    make_zip(archive, {"main.py": "2"})
    second = unpack_package(archive, cache)
    assert second != first
    assert (first.code / "main.py").read_text() == "1"
    assert (second.code / "main.py").read_text() == "2"


def test_many_at_once_get_the_same_directory(tmp_path: Path, cache: Path) -> None:
    archive = make_zip(tmp_path / "fn.zip", {f"m{number}.py": "" for number in range(200)})
    found: list[Package] = []
    threads = [threading.Thread(target=lambda: found.append(unpack_package(archive, cache))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(kept(cache)) == 1


# Hostile ones

Spoil = Callable[[zipfile.ZipFile], None]


def member(name: str, content: bytes = b"x") -> Spoil:
    return lambda file: file.writestr(name, content)


def declared(name: str, size: int) -> Spoil:
    """A member of a few bytes that says it has ``size``."""

    def spoil(file: zipfile.ZipFile) -> None:
        file.writestr(name, b"few bytes")
        file.filelist[-1].file_size = size

    return spoil


def link(name: str, target: str) -> Spoil:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return lambda file: file.writestr(info, target)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (member("../escaped.py"), "member '../escaped.py' would be written outside its directory"),
        (member("a/../../escaped.py"), "would be written outside its directory"),
        (member("..\\escaped.py"), "would be written outside its directory"),
        (member(".."), "would be written outside its directory"),
        (member("../escaped/"), "would be written outside its directory"),
        (member("/escaped.py"), "member '/escaped.py' would be written outside its directory"),
        (member("//escaped.py"), "would be written outside its directory"),
        (link("link", "/etc"), "member 'link' is a symbolic link; put in the file itself"),
        (link("fn/src/link.py", "main.py"), "is a symbolic link"),
        (member("./main.py"), "member './main.py' is in it twice"),
        (member("main.py/more.py"), "cannot be unpacked"),
        (member("x" * 300 + ".py"), "cannot be unpacked"),
        (member("zeros", bytes(70 << 20)), "times its size; an archive bomb?"),
        (declared("huge", 5 << 30), "unpacks to 2 files and 5368709121 bytes, which is too much"),
        (declared("liar", 1), "is no readable zip archive (Bad CRC-32 for file 'liar')"),
    ],
    ids=range(15),
)
def test_a_hostile_archive_is_refused_and_leaves_nothing(
    spoil: Spoil, message: str, tmp_path: Path, cache: Path
) -> None:
    archive = tmp_path / "fn.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("main.py", "x")
        spoil(file)
    with pytest.raises(LaunchError) as caught:
        unpack_package(archive, cache)
    assert str(caught.value).startswith("fn.zip: ")
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert kept(cache) == []
    assert [path for path in tmp_path.rglob("*") if "escaped" in path.name] == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(tmp_path: Path, cache: Path) -> None:
    archive = tmp_path / "fn.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("main.py", "what was looked at")
        file.writestr("main.py", "what would run")
    with pytest.raises(LaunchError, match=r"^fn.zip: member 'main.py' is in it twice$"):
        unpack_package(archive, cache)


def test_a_directory_that_is_there_twice_is_no_harm(tmp_path: Path, cache: Path) -> None:
    archive = make_zip(tmp_path / "fn.zip", {"src/": "", "./src/": "", "src/main.py": ""})
    assert unpack_package(archive, cache).code.name == "src"


def test_an_archive_of_very_many_members_is_refused(tmp_path: Path, cache: Path) -> None:
    archive = make_zip(tmp_path / "fn.zip", {f"{number}": "" for number in range(50_001)})
    with pytest.raises(LaunchError, match=r"^fn.zip: unpacks to 50001 files and 0 bytes, which is too much$"):
        unpack_package(archive, cache)


@pytest.mark.parametrize("suffix", [".zip", ".whl"])
@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "no end", "flipped", "encrypted", "unknown method"])
def test_what_is_no_sound_zip_archive_is_refused(damage: str, suffix: str, tmp_path: Path, cache: Path) -> None:
    archive = make_zip(tmp_path / f"fn{suffix}", {"main.py": "print('hello')\n" * 50})
    data = bytearray(archive.read_bytes())
    directory = data.index(b"PK\x01\x02")
    match damage:
        case "empty":
            data.clear()
        case "text":
            data[:] = b"def process(input): ..."
        case "truncated":
            del data[len(data) // 2 :]
        case "no end":
            del data[-5:]
        case "flipped":
            data[45] ^= 0xFF
        case "encrypted":
            data[6] |= 1
            data[directory + 8] |= 1
        case "unknown method":
            data[8] = data[directory + 10] = 77
    archive.write_bytes(data)
    with pytest.raises(LaunchError, match=rf"^fn{suffix}: is no readable zip archive \(.+\)$"):
        unpack_package(archive, cache)
    assert kept(cache) == []


def test_a_cache_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "fn.zip", {"main.py": ""})
    (tmp_path / "file").touch()
    with pytest.raises(LaunchError, match=r"^fn.zip: cannot be unpacked to .*/file/cache \(.*Not a directory"):
        unpack_package(archive, tmp_path / "file" / "cache")
