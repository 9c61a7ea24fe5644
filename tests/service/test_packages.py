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


def test_a_package_is_new_for_a_while(store: PackageStore) -> None:
    young, old = store.path(add(store, b"young")), store.path(add(store, b"old"))
    os.utime(old, (0, 0))
    assert {package.path: store.is_new(package) for package in store.packages()} == {young: True, old: False}
    assert not any(store.is_new(package, 0) for package in store.packages())


def test_what_a_request_adds_is_new_until_it_ends_however_long_that_takes(store: PackageStore) -> None:
    before = store.path(add(store, b"before"))
    os.utime(before, (0, 0))
    with store.request():
        with store.request():
            path = store.path(add(store, b"code"))
        assert {package.path: store.is_new(package, 0) for package in store.packages()} == {before: False, path: True}
    assert not any(store.is_new(package, 0) for package in store.packages())


def test_a_package_that_somebody_brings_again_is_not_removed(store: PackageStore) -> None:
    path = store.path(add(store, b"code"))
    os.utime(path, (0, 0))
    (seen,) = store.packages()
    add(store, b"code")
    assert not store.remove(seen)
    assert path.is_file()
    (seen,) = store.packages()
    assert store.remove(seen)
    assert not store.remove(seen)
    assert list(store.directory.iterdir()) == []


def test_the_same_content_under_another_name_is_removed_by_itself(store: PackageStore) -> None:
    one, other = (store.path(add(store, b"code", name)) for name in ("one.py", "other.py"))
    store.remove(next(package for package in store.packages() if package.path == one))
    assert other.is_file()


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


def test_a_program_can_be_started_once_it_is_kept(tmp_path: Path) -> None:
    store = PackageStore(tmp_path / "packages")
    kept = store.path(store.add(io.BytesIO(b"#!/bin/sh"), "program"))
    assert not os.access(kept, os.X_OK)
    store.make_executable(kept)
    assert os.access(kept, os.X_OK)
    foreign = tmp_path / "foreign"
    foreign.write_text("#!/bin/sh")
    store.make_executable(foreign)
    assert not os.access(foreign, os.X_OK)
