"""Secrets providers."""

from __future__ import annotations

import pytest

from pulsar_runtimes.instance.secrets import build_secrets_provider
from pulsar_runtimes.model.errors import LaunchError


@pytest.mark.parametrize("name", ["", "secretsprovider.ClearTextSecretsProvider"])
@pytest.mark.parametrize("entry", ["text", {"path": "p"}, None])
def test_in_clear_text_the_entry_is_the_secret(name: str, entry: object) -> None:
    assert build_secrets_provider(name, None).provide_secret("P", entry) == entry


def test_a_secret_may_be_in_the_environment_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = build_secrets_provider("secretsprovider.EnvironmentBasedSecretsProvider", {"any": "thing"})
    monkeypatch.setenv("PASSWORD", "from the environment")
    assert provider.provide_secret("PASSWORD", {"key": "OTHER"}) == "from the environment"
    assert provider.provide_secret("NO_SUCH_SECRET", "x") is None


def test_an_unknown_provider_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LaunchError) as caught:
        build_secrets_provider("mine.Vault", {"token": "s3cret"})
    assert str(caught.value) == (
        "no secrets provider named 'mine.Vault'; known: secretsprovider.ClearTextSecretsProvider, "
        "secretsprovider.EnvironmentBasedSecretsProvider"
    )
