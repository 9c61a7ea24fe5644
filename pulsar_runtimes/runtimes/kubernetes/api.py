"""The one door to the client library of Kubernetes: requests and watches over plain data, and what their errors mean.

The library knows how to find and to trust an API server, and how to prove who asks. Its models are used to check
manifests offline (:func:`model_problems`), not for requests: a thousand objects are read ten times faster as JSON.
It is imported by the first call that needs it, as that takes seconds.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pulsar_runtimes.model.errors import LaunchError

from .config import KubernetesConfig

FIELD_MANAGER = "pfrun"
NOT_FOUND = 404
CONFLICT = 409
REQUEST_SECONDS = 30.0
WATCH_SECONDS = 240
"""After this the API server ends a watch in good order, and another one goes on from there."""

_SILENCE_SECONDS = 90.0
"""A watch that says nothing for longer is broken: the API server sends a bookmark every minute."""

_CONNECT_SECONDS = 10.0
_CONNECTIONS = 64
_KUBECONFIG = "~/.kube/config"
_IN_POD = "KUBERNETES_SERVICE_HOST"
_TRANSIENT = frozenset({0, 408, 429, 500, 502, 503, 504})
_MODELS = {"StatefulSet": "V1StatefulSet", "Service": "V1Service", "Secret": "V1Secret"}

Manifest = dict[str, Any]


class ApiError(LaunchError):
    """A request that failed. ``status`` is 0 when there was no answer; ``reason`` is Kubernetes' word for it.

    ``retry_after_seconds`` is what the API server asked for, 0 when it asked for nothing.
    """

    def __init__(self, text: str, status: int, reason: str = "", retry_after_seconds: float = 0.0) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds

    @property
    def is_transient(self) -> bool:
        """Whether the same request may be answered otherwise a little later."""
        return self.status in _TRANSIENT


class KubernetesApi:
    """Requests to one API server, over connections that are kept. May be used by any number of threads."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def request(
        self, method: str, path: str, body: Manifest | None = None, query: Mapping[str, str] | None = None
    ) -> Manifest:
        """The answer to one request; tried once. ``ApiError`` for any that is not a success."""
        text = self._text(method, path, body, query)
        try:
            answer: Manifest = json.loads(text)
        except ValueError:
            raise ApiError(f"{method} {path}: the answer is no JSON, so no API server gave it", 0) from None
        return answer

    def find(self, path: str) -> Manifest | None:
        """The object at ``path``, ``None`` when there is none. ``ApiError`` for any other failure."""
        try:
            return self.request("GET", path)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def delete(self, path: str, uid: str, grace_seconds: int | None = None) -> None:
        """Ask for the end of the object ``uid`` at ``path``, and of what Kubernetes has made for it.

        One that is gone, or another one by now, is no error. ``grace_seconds`` is by default the object's own.
        """
        options: Manifest = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        try:
            self.request("DELETE", path, options)
        except ApiError as error:
            if error.status not in (NOT_FOUND, CONFLICT):
                raise

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """What ``GET`` answers as text, such as the log of a pod. ``ApiError`` for any failure."""
        return self._text("GET", path, None, query)

    def watch(self, path: str, query: Mapping[str, str], opened: list[Any]) -> Iterator[Manifest]:
        """The events of a watch until it ends, each with ``type`` and ``object``. ``ApiError`` when it breaks.

        What is put into ``opened`` can be given to :meth:`break_off` by another thread.
        """
        options = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        answer = self._send("GET", path, None, options, (_CONNECT_SECONDS, _SILENCE_SECONDS))
        opened[:] = [answer]
        pending = b""
        try:
            for chunk in answer.stream(1 << 16, decode_content=True):
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    yield _event(line)
        except ApiError:
            raise
        except Exception as error:
            raise ApiError(f"watching {path}: {_first_line(error)}", 0) from error
        finally:
            opened.clear()
            answer.close()

    def break_off(self, opened: list[Any]) -> None:
        """End the watch that put something into ``opened``, if it runs."""
        for answer in opened[:]:
            with contextlib.suppress(Exception):  # it may be ending by itself
                answer.shutdown()

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self._client.rest_client.close()

    def _text(self, method: str, path: str, body: Manifest | None, query: Mapping[str, str] | None) -> str:
        answer = self._send(method, path, body, query or {}, (_CONNECT_SECONDS, REQUEST_SECONDS))
        try:
            return str(answer.data.decode("utf-8", "replace"))
        except Exception as error:
            raise ApiError(f"{method} {path}: {_first_line(error)}", 0) from error
        finally:
            answer.release_conn()

    def _send(
        self, method: str, path: str, body: Manifest | None, query: Mapping[str, str], timeout: tuple[float, float]
    ) -> Any:
        """The answer, its body not read yet."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        try:
            method, url, sent, content, _ = self._client.param_serialize(
                method=method,
                resource_path=path,
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            answer = self._client.call_api(method, url, sent, content, _request_timeout=timeout).response
        except Exception as error:  # of the library, of urllib3 below it, of the ssl and socket modules below that
            raise ApiError(f"{method} {path}: {_first_line(error)}", 0) from error
        if not 200 <= answer.status < 300:
            raise _refusal(method, path, answer)
        return answer


def connect(config: KubernetesConfig, environment: Mapping[str, str]) -> KubernetesApi:
    """Requests to the API server that ``config`` means. Nothing is sent yet.

    ``k8Uri`` is an address without credentials, such as that of ``kubectl proxy``; without it the cluster that pfrun
    runs in, or the kubeconfig that ``KUBECONFIG`` names, as in the reference. ``LaunchError`` when there is none, or
    when the client library is not there.
    """
    client, kube_config = _library()
    settings = client.Configuration()
    file = environment.get("KUBECONFIG") or str(Path(_KUBECONFIG).expanduser())
    try:
        if config.k8s_uri:
            settings.host = config.k8s_uri.rstrip("/")
        elif config.submitting_inside_pod or (environment.get(_IN_POD) and not Path(file).exists()):
            kube_config.load_incluster_config(client_configuration=settings)
        else:
            kube_config.load_kube_config(file, client_configuration=settings, persist_config=False)
    except Exception as error:  # a ConfigException, or what the parser of a broken file raises
        raise LaunchError(
            f"there is no way to a Kubernetes API server: {_first_line(error)}; "
            "set KUBECONFIG, k8Uri, or submittingInsidePod"
        ) from error
    settings.retries = 0  # who asks knows better when to try again
    settings.connection_pool_maxsize = _CONNECTIONS
    return KubernetesApi(client.ApiClient(settings))


def model_problems(manifest: Manifest) -> list[str]:
    """What the client library would not send of ``manifest``, one line each with its place. No request is made."""
    client, _ = _library()
    name = _MODELS.get(manifest.get("kind", ""))
    if name is None:
        return []
    try:
        getattr(client, name).from_dict(manifest)
    except Exception as error:  # pydantic's ValidationError, or an AttributeError for a list in place of a mapping
        return [f"{manifest['kind']} {place}" for place in _places(error)]
    return []


def _places(error: Exception) -> list[str]:
    errors = getattr(error, "errors", None)
    if errors is None:
        return [f"is not of the right shape: {_first_line(error)}"]
    model = getattr(error, "title", "")
    return [f"{model}.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in errors(include_url=False)]


def _library() -> tuple[Any, Any]:
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise LaunchError(f"the Kubernetes runtime needs the package kubernetes: {error}") from error
    return client, config


def _event(line: bytes) -> Manifest:
    event: Manifest = json.loads(line)
    if event.get("type") == "ERROR":
        raise _status_error("watching", event.get("object") or {}, 500)
    return event


def _refusal(method: str, path: str, answer: Any) -> ApiError:
    try:
        text = answer.data.decode("utf-8", "replace")
        asked = float(answer.headers.get("Retry-After") or 0)
    except Exception:  # the connection broke in the middle, or the header is a date
        text, asked = "", 0.0
    finally:
        answer.release_conn()
    try:
        status = json.loads(text)
    except ValueError:
        status = {}
    error = _status_error(f"{method} {path}", status if isinstance(status, dict) else {}, answer.status)
    error.retry_after_seconds = asked
    return error


def _status_error(what: str, status: Mapping[str, Any], code: int) -> ApiError:
    message = " ".join(str(status.get("message") or "no reason given").split())
    code = int(status.get("code") or code)
    return ApiError(f"{what}: {code} {message}", code, str(status.get("reason") or ""))


def _first_line(error: BaseException) -> str:
    text, *_ = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {text}"
