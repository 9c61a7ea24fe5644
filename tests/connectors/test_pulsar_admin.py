"""Pulsar's own pulsar-admin against pfrun's admin API of sinks and sources."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.standalone.distribution import find_java
from tests.standalone.requirement import or_skip

from .conftest import Api

pytestmark = [pytest.mark.slow, pytest.mark.standalone]

Admin = Callable[..., str]


@pytest.fixture
def admin(api: Api, pulsar_home: Path) -> Admin:
    """``admin("sinks", "list")`` is what pulsar-admin prints, less its log."""
    or_skip(lambda: find_java(os.environ))
    environment = os.environ | {"PULSAR_MEM": "-Xmx128m", "PULSAR_EXTRA_OPTS": "-XX:TieredStopAtLevel=1"}

    def call(*arguments: str) -> str:
        command = [str(pulsar_home / "bin" / "pulsar-admin"), "--admin-url", str(api.http.base_url), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        return done.stdout + done.stderr

    return call


def test_a_sink_lives_through_pulsar_admin(admin: Admin, nar: Path) -> None:
    inputs = ("--inputs", "persistent://public/default/in")
    assert "Created successfully" in admin("sinks", "create", "--name", "s", "--archive", str(nar), *inputs)
    assert "Updated successfully" in admin("sinks", "update", "--name", "s", "--sink-type", "both")
    told = json.loads(admin("sinks", "get", "--name", "s"))
    assert (told["className"], told["archive"]) == ("a.Sink", "builtin://both")
    assert json.loads(admin("sinks", "status", "--name", "s"))["numInstances"] == 1
    assert "Deleted successfully" in admin("sinks", "delete", "--name", "s")


def test_a_source_and_what_is_built_in(admin: Admin) -> None:
    assert "both\nA sample\n" in admin("sources", "available-sources")
    created = admin("sources", "create", "--name", "g", "--source-type", "both", "--destination-topic-name", "t")
    assert "Created successfully" in created
    assert json.loads(admin("sources", "list")) == ["g"]
    refused = admin(
        "sources", "create", "--name", "h", "--archive", "http://host/x.nar", "--destination-topic-name", "t"
    )
    assert "Function Package url is not valid.supported url (http/https/file)" in refused
