"""Which worker is asked, and what it is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pulsar_runtimes.client.config import DEFAULT_URL, load_client_config
from pulsar_runtimes.model.errors import ConfigError

Conf = Callable[[str], dict[str, str]]


@pytest.fixture
def conf(tmp_path: Path) -> Conf:
    """``conf(text)`` is an environment that names a client.conf of that text."""

    def conf(text: str) -> dict[str, str]:
        (tmp_path / "client.conf").write_text(text)
        return {"PULSAR_CLIENT_CONF": str(tmp_path / "client.conf")}

    return conf


def test_what_is_given_comes_before_the_environment_and_that_before_the_file(conf: Conf) -> None:
    environment = conf("webServiceUrl=http://conf:1/\n")
    assert load_client_config({}).urls == (DEFAULT_URL,)
    assert load_client_config(environment).urls == ("http://conf:1",)
    environment["PULSAR_ADMIN_URL"] = "http://env:2"
    assert load_client_config(environment).urls == ("http://env:2",)
    assert load_client_config(environment, url="https://given:3/base/").urls == ("https://given:3/base",)


def test_a_service_may_have_several_addresses(conf: Conf) -> None:
    environment = conf("# comment\n! and another\nwebServiceUrl = https://a:8443, b:8443/\nbrokerServiceUrl: x\n")
    assert load_client_config(environment).urls == ("https://a:8443", "https://b:8443")


@pytest.mark.parametrize("url", ["x", "http://", "ftp://a", "http://a:x", "http://a:0", "http://a?b=c", "http://[::1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="PULSAR_ADMIN_URL: must be the address of a worker"):
        load_client_config({"PULSAR_ADMIN_URL": url})


def test_the_token_of_the_file_is_read_in_each_of_its_forms(conf: Conf, tmp_path: Path) -> None:
    plugin = "authPlugin=org.apache.pulsar.client.impl.auth.AuthenticationToken\n"
    (tmp_path / "token").write_text("from.a.file\n")
    for parameters, token in (("token:abc", "abc"), ("abc", "abc"), (f"file://{tmp_path}/token", "from.a.file")):
        assert load_client_config(conf(f"{plugin}authParams={parameters}\n")).token == token


def test_a_token_is_never_shown(conf: Conf, tmp_path: Path) -> None:
    assert "abc" not in repr(load_client_config({"PULSAR_TOKEN": "abc"}))
    for wrong in ("abc def", "abc\ndef", "größe", "abc\x00"):
        with pytest.raises(ConfigError) as caught:
            load_client_config({"PULSAR_TOKEN": wrong})
        assert str(caught.value) == "PULSAR_TOKEN: must hold a token and nothing else, as one line of ASCII text"
    (tmp_path / "token").write_text("\n")
    with pytest.raises(ConfigError, match="is empty; it must hold a token"):
        load_client_config({}, token_file=str(tmp_path / "token"))


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    environment = {"PULSAR_CLIENT_CONF": str(tmp_path / "gone.conf")}
    with pytest.raises(ConfigError) as caught:
        load_client_config(environment, url="x", token_file=str(tmp_path), trust_certs="gone.pem")
    assert str(caught.value).replace(str(tmp_path), "DIR").splitlines() == [
        "DIR/gone.conf: there is no such file",
        "--url: must be the address of a worker, such as http://127.0.0.1:6750 (got 'x')",
        "DIR: cannot be read: is a directory",
        "--tls-trust-cert-path: there is no such file (got 'gone.pem')",
    ]


def test_what_has_no_effect_is_told(conf: Conf) -> None:
    text = "tlsAllowInsecureConnection=true\nuseKeyStoreTls=false\nauthPlugin=a.AuthenticationTls\nauthParams=x\n"
    config = load_client_config(conf(text))
    assert config.token == ""
    assert [warning.path for warning in config.warnings] == ["tlsAllowInsecureConnection", "authPlugin"]
    assert all(warning.message.startswith("has no effect: ") for warning in config.warnings)
