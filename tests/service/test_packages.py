"""Packages, each under the hash of its content."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import pytest

from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.registration import PackageLocation
from pulsar_runtimes.service.packages import PackageStore, safe_name


@pytest.fixture
def store(tmp_path: Path) -> PackageStore:
    return PackageStore(tmp_path / "packages")


def add(store: PackageStore, content: bytes, name: str = "f.py") -> PackageLocation:
    return store.add(io.BytesIO(content), name)


def test_a_package_is_kept_under_its_hash(store: PackageStore) -> None:
    location = add(store, b"code", "my fünc.py")
    path = store.path(location)
    assert path.read_bytes() == b"code"
    assert (path.name, path.parent.name) == ("my_func.py", hashlib.sha256(b"code").hexdigest())
    assert location.original_file_name == "my fünc.py"


def test_the_same_content_is_kept_once(store: PackageStore) -> None:
    assert add(store, b"code") == add(store, b"code")
    assert len(store.packages()) == 1
    add(store, b"other")
    assert sorted(package.size_bytes for package in store.packages()) == [4, 5]


def test_nothing_is_left_of_one_that_could_not_be_kept(store: PackageStore, tmp_path: Path) -> None:
    class Breaks(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(28, "No space left on device")

    with pytest.raises(PfrunError, match="cannot be kept: No space left"):
        store.add(Breaks(), "f.py")
    assert list((tmp_path / "packages").iterdir()) == []


def test_what_nothing_uses_is_found_once_it_is_not_new(store: PackageStore) -> None:
    used, young, old = add(store, b"used"), add(store, b"young"), add(store, b"old")
    for location in (used, old):
        os.utime(store.path(location), (0, 0))
    (unused,) = store.unused({used.path})
    assert unused.path == store.path(old)
    store.remove(unused)
    assert {package.path for package in store.packages()} == {store.path(used), store.path(young)}


@pytest.mark.parametrize("location", ["function://public/default/f@1", "file:///nowhere/f.py"])
def test_a_package_that_cannot_be_had_is_told(location: str, store: PackageStore) -> None:
    with pytest.raises(PfrunError, match=r"reads packages from files only|no such package"):
        store.path(PackageLocation(location))


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("f.jar", "f.jar"),
        ("my fünc é.jar", "my_func_e.jar"),
        ("函数.py", ".py"),
        ("a/b.jar", "a_b.jar"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("..", "package.."),
        ("函", "package"),
    ],
)
def test_names_of_files_are_cleaned(name: str, safe: str) -> None:
    assert safe_name(name) == safe
