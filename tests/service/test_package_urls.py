"""Which URLs a package may come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.worker import parse_worker_config
from pulsar_runtimes.model.errors import ConfigError
from pulsar_runtimes.model.function import ComponentType
from pulsar_runtimes.service.package_urls import UrlRules, is_package_name, without_password

FUNCTION, SINK, SOURCE = ComponentType.FUNCTION, ComponentType.SINK, ComponentType.SOURCE


def rules(tmp_path: Path, **keys: Any) -> UrlRules:
    document = {
        "connectorsDirectory": str(tmp_path / "connectors"),
        "functionsDirectory": str(tmp_path / "functions"),
        **keys,
    }
    return UrlRules.from_config(parse_worker_config(parse_document(json.dumps(document)), {}))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("connectors", "functions", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.nar").touch()
    (tmp_path / "connectors" / "link.nar").symlink_to(tmp_path / "other" / "x.nar")
    return tmp_path


def test_the_defaults_take_only_files_of_the_two_directories(files: Path) -> None:
    given = rules(files)
    assert given.allows(SINK, f"file://{files}/connectors/x.nar")
    assert given.allows(SOURCE, f"file:{files}/connectors/x.nar")
    assert given.allows(FUNCTION, f"file://{files}/functions/x.nar")
    assert not given.allows(FUNCTION, f"file://{files}/connectors/x.nar")
    assert not given.allows(SINK, f"file://{files}/functions/x.nar")


@pytest.mark.parametrize(
    "url",
    [
        "http://host/x.nar",
        "https://host/x.nar",
        "ftp://host/x.nar",
        "file:///etc/passwd",
        "file://{0}/other/x.nar",
        "file://{0}/connectors/../other/x.nar",
        "file://{0}/connectors/%2e%2e/other/x.nar",
        "file://{0}/connectors/link.nar",
        "file://{0}/connectors-not/x.nar",
        "file://host{0}/connectors/x.nar",
        "file://{0}/connectors/x%00.nar",
        "file:connectors/x.nar",
        "http://[bad/x.nar",
        "http://host:port/x.nar",
        "",
    ],
)
def test_the_defaults_refuse_the_rest(url: str, files: Path) -> None:
    assert not rules(files).allows(SINK, url.format(files))


def test_the_directories_can_be_closed(files: Path) -> None:
    given = rules(files, enableReferencingConnectorDirectoryFiles=False, enableReferencingFunctionsDirectoryFiles=False)
    assert not given.allows(SINK, f"file://{files}/connectors/x.nar")
    assert not given.allows(FUNCTION, f"file://{files}/functions/x.nar")


def test_patterns_match_the_whole_normalised_url(files: Path) -> None:
    given = rules(
        files,
        additionalEnabledConnectorUrlPatterns=["https://good/nars/.*", f"file://{files}/other/.*"],
        additionalEnabledFunctionsUrlPatterns=["http://[^/]+/f.jar"],
    )
    assert given.allows(SINK, "https://good/nars/x.nar")
    assert given.allows(SINK, f"file://{files}/other/x.nar")
    assert given.allows(FUNCTION, "http://any/f.jar")
    for url in (
        "https://good/nars/../x.nar",
        "https://good.evil/nars/x.nar",
        "https://good@evil/nars/x.nar",
        f"file://{files}/other/../connectors/x.nar",
        f"file://{files}/other/%2e%2e/connectors/x.nar",
        "http://any/f.jar",
    ):
        assert not given.allows(SINK, url), url
    (files / "other" / "out.nar").symlink_to("/etc/passwd")
    assert not given.allows(SINK, f"file://{files}/other/out.nar")


def test_all_patterns_that_are_none_are_told() -> None:
    with pytest.raises(ConfigError) as caught:
        rules(
            Path("/nowhere"),
            additionalEnabledConnectorUrlPatterns=["ok", "("],
            additionalEnabledFunctionsUrlPatterns=["["],
        )
    assert [problem.path for problem in caught.value.problems] == ["additionalEnabledConnectorUrlPatterns[1]"]


def test_names_of_packages_and_passwords() -> None:
    assert is_package_name("function://a/b/c@1") and is_package_name("sink://x")
    assert not is_package_name("http://a") and not is_package_name("function")
    assert without_password("http://me:pw@host/x") == "http://***@host/x"
    assert without_password("http://host/a@b") == "http://host/a@b"
