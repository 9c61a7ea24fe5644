"""Which packages are needed, by whom, and which may go."""

from __future__ import annotations

import io
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.function import ComponentType
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.model.registration import PackageLocation, Registration
from pulsar_runtimes.service.fetched_packages import FetchedPackages
from pulsar_runtimes.service.own_packages import OwnPackages
from pulsar_runtimes.service.package_inventory import PackageInventory, Place, Use
from pulsar_runtimes.service.package_urls import UrlRules
from pulsar_runtimes.service.packages import PackageStore
from pulsar_runtimes.testing import function_spec
from tests.service.memory_brokers import MemoryBrokers

KEY = FunctionKey("public", "default", "f")


@dataclass
class Bench:
    """An inventory over what a test says is registered and runs."""

    directory: Path
    registrations: list[Registration] = field(default_factory=list)
    newer: set[FunctionKey] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    elsewhere: set[str] | None = field(default_factory=set)
    asked: int = 0

    def __post_init__(self) -> None:
        self.brokers = MemoryBrokers()
        self.store = PackageStore(self.directory / "packages")
        self.own = OwnPackages(self.brokers, "ours")
        self.fetched = FetchedPackages(self.store, UrlRules(), self.brokers)
        self.inventory = PackageInventory(self.store, self.fetched, self.own, self, self)

    def meant(self) -> list[Registration]:
        return self.registrations

    def unreadable(self) -> set[FunctionKey]:
        return self.newer

    def files_in_use(self) -> set[str]:
        return self.files

    def files_elsewhere(self) -> set[str]:
        self.asked += 1
        if self.elsewhere is None:
            raise PfrunError("worker w2 does not answer")
        return self.elsewhere

    def keep(self, content: bytes, *, old: bool = True) -> Path:
        """A package of the directory."""
        path = self.store.path(self.store.add(io.BytesIO(content), "f.py"))
        if old:
            os.utime(path, (1, 1))
        return path

    def give(self, digit: str, key: FunctionKey = KEY) -> str:
        """A package of the brokers."""
        path = self.directory / "given.py"
        path.write_bytes(digit.encode())
        name = self.own.new_name(ComponentType.FUNCTION, key, digit * 64)
        self.own.put(name, key, path, digit * 64, "f.py")
        return name

    def register(self, path: str, name: str = "f", transform: str = "") -> None:
        function = function_spec(name=name, package="")
        self.registrations.append(Registration(function, PackageLocation(path), PackageLocation(transform)))

    def uses(self, older_than_seconds: float = 600) -> dict[str, Use]:
        return {each.name: each.use for each in self.inventory.packages(older_than_seconds)}

    def remove(self, *, older_than_seconds: float = 600, dry_run: bool = False, brokers: bool = True) -> set[str]:
        """The names of what is removed."""
        removal = self.inventory.remove_unused(older_than_seconds=older_than_seconds, dry_run=dry_run, brokers=brokers)
        return {each.name for each in removal.packages}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_each_package_is_told_with_what_it_is_for(bench: Bench) -> None:
    code, transform, running = bench.keep(b"code"), bench.keep(b"transform"), bench.keep(b"running")
    new, unused = bench.keep(b"new", old=False), bench.keep(b"unused")
    bench.register(code.as_uri(), transform=transform.as_uri())
    bench.register(code.as_uri(), "g")
    bench.files.add(str(running))
    assert bench.uses() == {
        str(code): Use.REGISTERED,
        str(transform): Use.REGISTERED,
        str(running): Use.RUNNING,
        str(new): Use.NEW,
        str(unused): Use.UNUSED,
    }
    told = next(each for each in bench.inventory.packages() if each.name == str(code))
    assert [str(key) for key in told.functions] == ["public/default/f", "public/default/g"]
    assert (told.place, told.digest, told.file_name) == (Place.DIRECTORY, code.parent.name, "f.py")
    assert (told.size_bytes, told.kept_since_ms) == (4, 1000)
    assert bench.remove() == {str(unused)}
    assert len(bench.store.packages()) == 4


def test_a_dry_run_removes_nothing(bench: Bench) -> None:
    path, name = bench.keep(b"code"), bench.give("a")
    assert bench.remove(dry_run=True) == {str(path), name}
    assert path.is_file()
    assert name in bench.brokers.kept
    assert bench.remove() == {str(path), name}
    assert not path.exists()
    assert bench.brokers.kept == {}


def test_the_copy_of_what_the_brokers_keep_is_used_with_it(bench: Bench) -> None:
    name, copy, lost = bench.give("a"), bench.keep(b"code"), bench.keep(b"lost")
    gone = "function://public/default/gone@1"
    for url, path in ((name, copy), (gone, lost)):
        bench.fetched.keep_for(url, PackageLocation(path.as_uri()))
    bench.register(name)
    assert bench.remove() == {str(lost)}
    assert bench.fetched.kept_for(name) == copy.as_uri()
    assert bench.fetched.kept_for(gone) == ""
    bench.registrations.clear()
    assert bench.remove() == {str(copy), name}
    assert list((bench.store.directory / "urls").iterdir()) == []


def test_packages_of_others_are_neither_told_nor_removed(bench: Bench) -> None:
    others = OwnPackages(bench.brokers, "theirs")
    name = others.new_name(ComponentType.FUNCTION, KEY, "a" * 64)
    (bench.directory / "f").write_bytes(b"x")
    others.put(name, KEY, bench.directory / "f", "a" * 64, "f")
    like_ours = name[:-1] + ("0" if name[-1] != "0" else "1")
    for users in ("function://public/default/f@1", like_ours):
        bench.brokers.upload(users, io.BytesIO(b"user's"), "f")
    assert bench.uses() == {}
    assert bench.remove(older_than_seconds=0) == set()
    assert len(bench.brokers.kept) == 3


def test_what_gave_way_to_a_new_package_is_as_new_as_that(bench: Bench) -> None:
    before = bench.give("a")
    bench.brokers.clock_ms = int(time.time() * 1000) - 60_000
    now = bench.give("b")
    bench.register(now)
    assert bench.uses() == {before: Use.NEW, now: Use.REGISTERED}
    assert bench.uses(30) == {before: Use.UNUSED, now: Use.REGISTERED}


def test_what_is_being_given_is_not_removed_however_old_it_is_to_be(bench: Bench) -> None:
    name = bench.give("a")
    with bench.own.under_way(name), bench.store.request():
        with bench.own.under_way(name):
            pass  # another request with the same one
        path = bench.keep(b"code", old=False)
        assert bench.remove(older_than_seconds=0) == set()
    assert bench.remove(older_than_seconds=0) == {name, str(path)}


def test_what_is_registered_while_it_is_looked_for_is_not_removed(bench: Bench) -> None:
    path, name = bench.keep(b"code"), bench.give("a")

    class Late(Bench):
        def files_in_use(self) -> set[str]:
            bench.register(path.as_uri())
            bench.register(name)
            return set()

    inventory = PackageInventory(bench.store, bench.fetched, bench.own, bench, Late(bench.directory))
    assert inventory.remove_unused(older_than_seconds=0).packages == ()


def test_nothing_goes_that_may_be_of_a_function_that_cannot_be_read(bench: Bench) -> None:
    path = str(bench.keep(b"code"))
    name, other = bench.give("a"), bench.give("b", FunctionKey("public", "default", "g"))
    bench.newer.add(KEY)
    assert bench.uses() == {path: Use.UNKNOWN, name: Use.UNKNOWN, other: Use.UNUSED}
    assert bench.remove() == {other}


def test_other_workers_may_run_what_is_in_this_directory(bench: Bench) -> None:
    one, other = bench.keep(b"one"), bench.keep(b"other")
    bench.elsewhere = {str(one)}
    assert bench.uses() == {str(one): Use.RUNNING, str(other): Use.UNUSED}
    bench.elsewhere = None
    assert bench.uses() == {str(one): Use.UNKNOWN, str(other): Use.UNKNOWN}
    assert bench.remove() == set()


def test_other_workers_are_asked_only_when_that_matters(bench: Bench) -> None:
    bench.register(bench.keep(b"code").as_uri())
    bench.keep(b"new", old=False)
    bench.elsewhere = None
    assert set(bench.uses().values()) == {Use.REGISTERED, Use.NEW}
    assert bench.asked == 0


def test_what_cannot_be_removed_is_told_and_the_rest_is_removed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    stays, goes = bench.give("a"), bench.give("b")
    remove = bench.own.remove

    def refuse(name: str) -> None:
        if name == stays:
            raise PfrunError("the disk is read-only")
        remove(name)

    monkeypatch.setattr(bench.own, "remove", refuse)
    removal = bench.inventory.remove_unused()
    assert [each.name for each in removal.packages] == [goes]
    assert removal.problems == (f"{stays}: is not removed: the disk is read-only",)


def test_nothing_is_removed_while_the_brokers_do_not_tell_what_they_keep(bench: Bench) -> None:
    bench.keep(b"code")
    bench.brokers.away = True
    with pytest.raises(PfrunError, match="no broker answers"):
        bench.inventory.remove_unused()
    assert len(bench.store.packages()) == 1
    assert len(bench.remove(brokers=False)) == 1
