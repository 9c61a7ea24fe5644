"""Packages that a real Apache Pulsar keeps."""

from __future__ import annotations

import contextlib
import io
import uuid

import pytest

from pulsar_runtimes.metadata.admin_client import AdminClient
from pulsar_runtimes.service.broker_packages import BrokerPackages, package_path
from pulsar_runtimes.service.errors import NotFoundError, RefusedError
from tests.standalone.standalone import Standalone


@pytest.mark.slow
@pytest.mark.standalone
def test_a_package_is_given_to_the_brokers_and_had_from_them(pulsar_standalone: Standalone) -> None:
    with contextlib.closing(AdminClient(pulsar_standalone.admin_url)) as client:
        _give_and_have(BrokerPackages(client))


def _give_and_have(packages: BrokerPackages) -> None:
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


@pytest.mark.parametrize(
    "name", ["function://a/b", "function://a/b/c/d", "http://a/b/c", "function://a/b/c@", "function://a/../c@1"]
)
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match=r"must be function://tenant/namespace/name@version"):
        package_path(name)


def test_without_a_version_the_latest_is_meant() -> None:
    assert package_path("sink://t/n/x") == "/admin/v3/packages/sink/t/n/x/latest"
