"""Settings that a ConfigMap changes while the worker runs: ``changeConfigMap``.

Source: ``KubernetesRuntimeFactory#overRideKubernetesConfig`` of Apache Pulsar 4.0.8, which every five minutes sets the
fields of its object that are named so, for functions that are started later.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping

from .api import ApiError, KubernetesApi
from .paths import path_of

_KEYS = (
    "jobNamespace",
    "jobName",
    "pulsarDockerImageName",
    "imagePullPolicy",
    "pulsarRootDir",
    "configAdminCLI",
    "pulsarAdminUrl",
    "pulsarServiceUrl",
    "pythonDependencyRepository",
    "pythonExtraDependencyRepository",
    "extraFunctionDependenciesDir",
    "narExtractionDirectory",
    "functionInstanceClassPath",
)
_OLD_NAMES = {"extraDependenciesDir": "extraFunctionDependenciesDir"}
"""How the reference's object calls what the file calls otherwise."""

_CLOSE_SECONDS = 5.0
_log = logging.getLogger(__name__)


def read_overrides(data: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The settings in the ``data`` of a ConfigMap by their keys in the file, and the names that change nothing. Pure.

    The file's own name for a setting counts before the reference's.
    """
    named = {_OLD_NAMES.get(name, name): value for name, value in sorted(data.items(), key=_is_own)}
    changes = {key: value for key, value in named.items() if key in _KEYS}
    return changes, sorted(named.keys() - changes.keys())


def _is_own(item: tuple[str, str]) -> bool:
    return item[0] not in _OLD_NAMES


class Overrides:
    """Reads a ConfigMap now and then, from :meth:`start` until :meth:`close`, and tells what it changes.

    ``apply`` gets all changes there are whenever they are others than before, none when the ConfigMap is gone, and
    answers what is wrong with them: the settings then stay as they are. What keeps it from being read later is logged.
    """

    def __init__(
        self,
        api: KubernetesApi,
        namespace: str,
        name: str,
        apply: Callable[[Mapping[str, str]], Iterable[str]],
        *,
        period_seconds: float,
    ) -> None:
        self._api = api
        self._path = path_of("configmaps", namespace, name)
        self._title = f"ConfigMap {name} of namespace {namespace}"
        self._apply = apply
        self._period_seconds = period_seconds
        self._data: dict[str, str] = {}
        self._trouble = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="kubernetes-overrides", daemon=True)

    def start(self) -> None:
        """The first look is over when this returns. ``ApiError`` when it fails.

        Without it a worker that starts again would take the running functions back to the settings of its file.
        """
        self._look()
        self._thread.start()

    def close(self) -> None:
        """Idempotent."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_SECONDS)

    def _follow(self) -> None:
        while not self._ended.wait(self._period_seconds):
            try:
                self._look()
            except ApiError as error:
                self._tell("cannot be read, so that settings stay as they are: %s", str(error))

    def _look(self) -> None:
        data = self._read()
        if data == self._data:
            return
        self._data = data
        changes, unused = read_overrides(data)
        problems = list(self._apply(changes))
        for problem in problems:
            _log.error("%s changes nothing: %s", self._title, problem)
        for key in unused:
            _log.warning("%s: %s has no effect: it cannot be changed in this way", self._title, key)
        if not problems:
            told = ", ".join(sorted(changes)) or "nothing"
            _log.info("%s changes %s, for functions that are started or changed from now on", self._title, told)

    def _read(self) -> dict[str, str]:
        found = self._api.find(self._path)
        if found is None:
            self._tell("is not there: %s", "no setting is changed")
            return {}
        self._trouble = ""
        return dict(found.get("data") or {})

    def _tell(self, message: str, trouble: str) -> None:
        """Once, until something else is the matter."""
        if trouble != self._trouble:
            _log.warning(f"%s {message}", self._title, trouble)
        self._trouble = trouble
