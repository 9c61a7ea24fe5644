"""Which worker to ask, and how to be known to it: from options, the environment, and a ``client.conf``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pulsar_runtimes.model.errors import ConfigError, Problem

from .client_conf import read_client_conf, read_text

URL_VARIABLE = "PULSAR_ADMIN_URL"
TOKEN_VARIABLE = "PULSAR_TOKEN"
CONF_VARIABLE = "PULSAR_CLIENT_CONF"
DEFAULT_URL = "http://127.0.0.1:6750"

_TOKEN_PLUGIN = "AuthenticationToken"
_UNUSED = {
    "tlsAllowInsecureConnection": "certificates are always verified",
    "useKeyStoreTls": "certificates are read from PEM files only",
}


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """``urls`` are addresses of one service, tried in their order; ``url_origin`` is where they come from."""

    urls: tuple[str, ...] = (DEFAULT_URL,)
    url_origin: str = "default"
    token: str = field(default="", repr=False)
    trust_certs: Path | None = None
    warnings: tuple[Problem, ...] = ()


def load_client_config(
    environment: Mapping[str, str],
    *,
    url: str | None = None,
    token_file: str | None = None,
    trust_certs: str | None = None,
) -> ClientConfig:
    """What is given comes first, then the environment, then the ``client.conf`` it names, then the default.

    ``ConfigError`` with every problem: a file that cannot be read, an address or a token that is none.
    """
    problems: list[Problem] = []
    file = environment.get(CONF_VARIABLE, "").strip()
    conf: dict[str, str] = {}
    if file:
        try:
            conf = read_client_conf(Path(file))
        except ConfigError as error:
            problems += error.problems
    urls, origin = _find_urls(environment, url, conf, file)
    problems += (Problem("", why, origin) for each in urls if (why := _url_problem(each)))
    token = ""
    try:
        token = _find_token(environment, token_file, conf, file)
    except ConfigError as error:
        problems += error.problems
    certs, certs_origin = _find_trust_certs(trust_certs, conf, file)
    if certs is not None and not certs.is_file():
        problems.append(Problem("", f"there is no such file (got {str(certs)!r})", certs_origin))
    if problems:
        raise ConfigError(problems)
    return ClientConfig(urls, origin, token, certs, tuple(_warnings(conf, file)))


def _find_urls(
    environment: Mapping[str, str], url: str | None, conf: Mapping[str, str], file: str
) -> tuple[tuple[str, ...], str]:
    places = (
        (url, "--url"),
        (environment.get(URL_VARIABLE, "").strip(), URL_VARIABLE),
        (conf.get("webServiceUrl"), f"webServiceUrl of {file}"),
    )
    text, origin = next(((text, origin) for text, origin in places if text), (DEFAULT_URL, "default"))
    return _split_urls(text), origin


def _split_urls(text: str) -> tuple[str, ...]:
    """Pulsar lists the hosts of one service as ``http://a:8080,b:8080``."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return (text,)
    hosts, slash, path = rest.partition("/")
    path = path.rstrip("/")
    return tuple(f"{scheme}://{host.strip()}{slash if path else ''}{path}" for host in hosts.split(","))


def _url_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        return "must be the address of a worker, such as http://127.0.0.1:6750"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or password; give a token in a file"
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_right or parts.query:
        return f"must be the address of a worker, such as {DEFAULT_URL} (got {url!r})"
    return None


def _find_token(environment: Mapping[str, str], token_file: str | None, conf: Mapping[str, str], file: str) -> str:
    if token_file:
        return _checked(read_text(Path(token_file)), token_file)
    if environment.get(TOKEN_VARIABLE, "").strip():
        return _checked(environment[TOKEN_VARIABLE], TOKEN_VARIABLE)
    parameters = conf.get("authParams", "")
    if not parameters or not conf.get("authPlugin", "").endswith(_TOKEN_PLUGIN):
        return ""
    if parameters.startswith("file:"):
        named = unquote(urlsplit(parameters).path)
        return _checked(read_text(Path(named)), named)
    return _checked(parameters.removeprefix("token:"), f"authParams of {file}")


def _checked(token: str, origin: str) -> str:
    """The token without the space around it; what it is, is never repeated."""
    token = token.strip()
    if not token:
        raise ConfigError(Problem("", "is empty; it must hold a token", origin))
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(Problem("", "must hold a token and nothing else, as one line of ASCII text", origin))
    return token


def _find_trust_certs(given: str | None, conf: Mapping[str, str], file: str) -> tuple[Path | None, str]:
    if given:
        return Path(given), "--tls-trust-cert-path"
    named = conf.get("tlsTrustCertsFilePath")
    return (Path(named), f"tlsTrustCertsFilePath of {file}") if named else (None, "")


def _warnings(conf: Mapping[str, str], file: str) -> Iterator[Problem]:
    for key, why in _UNUSED.items():
        if conf.get(key, "").lower() == "true":
            yield Problem(key, f"has no effect: {why}", file)
    plugin = conf.get("authPlugin", "")
    if plugin and not plugin.endswith(_TOKEN_PLUGIN):
        yield Problem("authPlugin", "has no effect: pfrun can prove who it is by a token only", file)
