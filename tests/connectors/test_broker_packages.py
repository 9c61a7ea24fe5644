"""Packages that a real Apache Pulsar keeps, and that the brokers of other tests keep in memory."""

from __future__ import annotations

import contextlib
import io
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pulsar_runtimes.metadata.admin_client import AdminClient
from pulsar_runtimes.model.errors import ConfigError, PfrunError
from pulsar_runtimes.model.function import ComponentType
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.service.broker_packages import BrokerPackages, package_path
from pulsar_runtimes.service.errors import NotFoundError, RefusedError
from pulsar_runtimes.service.own_packages import OwnPackages
from tests.cli.functions.fake_worker import FakeWorker
from tests.service.memory_brokers import MemoryBrokers
from tests.standalone.standalone import Standalone

Check = Callable[[BrokerPackages, Path], None]


def give_and_have(packages: BrokerPackages, directory: Path) -> None:
    name = f"function://public/default/p{uuid.uuid4().hex[:8]}@1"
    packages.upload(name, io.BytesIO(b"hello" * 1000), "p.jar")
    had = io.BytesIO()
    packages.download(name, had, 1 << 20)
    assert had.getvalue() == b"hello" * 1000
    with pytest.raises(RefusedError, match="already exists"):
        packages.upload(name, io.BytesIO(b"other"), "p.jar")
    with pytest.raises(NotFoundError, match="there is no such package"):
        packages.download(name.replace("@1", "@2"), io.BytesIO(), 1 << 20)
    with pytest.raises(RefusedError, match="larger than 9 bytes"):
        packages.download(name, io.BytesIO(), 9)


def list_and_delete(packages: BrokerPackages, directory: Path) -> None:
    name = f"p{uuid.uuid4().hex[:8]}"
    one, two = (f"sink://public/default/{name}@{version}" for version in ("1", "a-2"))
    for each in (one, two):
        packages.upload(each, io.BytesIO(b"x"), "p.nar", {"what": "grüße", "where": "here"})
    assert ("public", "default") in packages.namespaces()
    assert name in packages.names("sink", "public", "default")
    assert sorted(packages.versions("sink", "public", "default", name)) == ["1", "a-2"]
    assert packages.versions("source", "public", "default", name) == []
    assert packages.names("sink", "nosuch", "nosuch") == []
    first, second = packages.note(one), packages.note(two)
    assert second.properties == {"what": "grüße", "where": "here"}
    assert 0 < first.created_ms <= second.created_ms
    packages.delete(one)
    with pytest.raises(NotFoundError):
        packages.note(one)
    with pytest.raises(PfrunError):
        packages.delete(one)
    packages.upload(one, io.BytesIO(b"y"), "p.nar")


def own_ones(packages: BrokerPackages, directory: Path) -> None:
    """What pfrun gives is told from what others gave, and goes."""
    ours, theirs = (
        OwnPackages(packages, "persistent://a/b/metadata"),
        OwnPackages(packages, "persistent://c/d/metadata"),
    )
    key = FunctionKey("public", "default", f"odd @?#%{uuid.uuid4().hex[:8]}".replace(" ", ""))
    path = directory / "code.jar"
    path.write_bytes(b"code")
    names = [each.new_name(ComponentType.SOURCE, key, "ab" * 32) for each in (ours, theirs)]
    users = names[0].rpartition("@")[0] + "@1"
    for each, name in zip((ours, theirs), names, strict=True):
        each.put(name, key, path, "ab" * 32, "my code.jar")
    packages.upload(users, io.BytesIO(b"user's"), "p.jar")
    (found,) = [each for each in ours.kept() if each.function == str(key)]
    told = (found.name, found.digest, found.file_name, found.size_bytes)
    assert told == (names[0], "ab" * 32, "my code.jar", 4)
    for name in (*names, users):
        ours.remove(name)
        ours.remove(name)
    with pytest.raises(NotFoundError):
        packages.note(names[0])
    for name in (names[1], users):
        assert packages.note(name).created_ms


CHECKS = [give_and_have, list_and_delete, own_ones]


@pytest.mark.slow
@pytest.mark.standalone
@pytest.mark.parametrize("check", CHECKS)
def test_packages_are_given_to_the_brokers_and_had_from_them(
    check: Check, pulsar_standalone: Standalone, tmp_path: Path
) -> None:
    with contextlib.closing(AdminClient(pulsar_standalone.admin_url)) as client:
        packages = BrokerPackages(client)
        packages.check()
        check(packages, tmp_path)


@pytest.mark.parametrize("check", CHECKS)
def test_brokers_in_memory_do_the_same(check: Check, tmp_path: Path) -> None:
    check(MemoryBrokers(), tmp_path)


@pytest.mark.slow
@pytest.mark.standalone
def test_the_next_broker_is_asked_when_one_is_away(pulsar_standalone: Standalone, tmp_path: Path) -> None:
    host = pulsar_standalone.admin_url.removeprefix("http://")
    with contextlib.closing(AdminClient(f"http://127.0.0.1:1,{host}")) as client:
        give_and_have(BrokerPackages(client), tmp_path)


@pytest.mark.slow
@pytest.mark.standalone
def test_looks_that_meet_at_the_brokers_all_have_their_answer(pulsar_standalone: Standalone) -> None:
    with contextlib.closing(AdminClient(pulsar_standalone.admin_url)) as client, ThreadPoolExecutor(8) as pool:
        packages = BrokerPackages(client)
        for _ in range(20):
            tenant = uuid.uuid4().hex
            looks = [pool.submit(packages.names, "function", tenant, str(number % 3)) for number in range(8)]
            assert [look.result() for look in looks] == [[]] * 8


def test_brokers_that_are_away_are_told() -> None:
    with contextlib.closing(AdminClient("http://127.0.0.1:1,127.0.0.1:2")) as client:
        packages = BrokerPackages(client)
        name = "function://a/b/c@1"
        for ask in (
            lambda: packages.download(name, io.BytesIO(), 9),
            lambda: packages.upload(name, io.BytesIO(), "f"),
            lambda: packages.note(name),
        ):
            with pytest.raises(PfrunError, match=rf"^{name}: .*answers: ") as caught:
                ask()
            assert type(caught.value) is PfrunError


def test_brokers_that_keep_no_packages_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    with FakeWorker() as broker, contextlib.closing(AdminClient(broker.url)) as client:
        broker.answers(503, {"reason": "Package Management Service is not enabled in the broker."})
        with pytest.raises(ConfigError, match=r"with enablePackagesManagement=true; they say: .* is not enabled"):
            BrokerPackages(client).check()
        assert caplog.text == ""
        broker.answers(500, {"reason": "out of order"})
        BrokerPackages(client).check()
        assert "cannot be told" in caplog.text
        assert "out of order" in caplog.text


def test_who_only_meets_another_request_asks_again_but_not_for_ever() -> None:
    with FakeWorker() as broker, contextlib.closing(AdminClient(broker.url)) as client:
        broker.answers(500, {"reason": "Failed to create parent dirs for function/a"})
        content = io.BytesIO(b"code")
        with pytest.raises(RefusedError, match="Failed to create parent dirs"):
            BrokerPackages(client).upload("function://a/b/c@1", content, "f.py")
        assert [asked.parts()["file"][2] for asked in broker.asked] == [b"code"] * 5


@pytest.mark.parametrize(
    "name", ["function://a/b", "function://a/b/c/d", "http://a/b/c", "function://a/b/c@", "function://a/../c@1"]
)
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match=r"must be function://tenant/namespace/name@version"):
        package_path(name)


def test_without_a_version_the_latest_is_meant() -> None:
    assert package_path("sink://t/n/x") == "/admin/v3/packages/sink/t/n/x/latest"


def test_a_name_is_one_part_of_the_path_whatever_it_holds() -> None:
    assert package_path("function://t/n/a?b#c%@1") == "/admin/v3/packages/function/t/n/a%3Fb%23c%25/1"
