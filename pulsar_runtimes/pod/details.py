"""What the pods of a function are told: one JSON object, which Kubernetes mounts into each of them as a file. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from pulsar_runtimes.model.errors import LaunchError

FILE = "details.json"
"""The file's name, and the key of the ConfigMap that it comes from."""

DIRECTORY = "/etc/pfrun"
"""Where it is mounted."""

WORK_DIRECTORY = "/tmp/function"
"""Where packages are put; below the only directory of the pod that can be written."""

LOG_DIRECTORY = "/tmp/logs"

POD_NAME = "POD_NAME"
"""The variable with the pod's name, the end of which is the number of its instance."""

ORDINAL = "\0"
"""Stands for that number in an argument. No argument of a program can hold this character otherwise."""

LOGGING_CONFIG_FILE = "\0logging"
"""Stands for the file that has a Python instance log to standard error, wherever pfrun is installed in the image."""

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Package:
    """A file that a pod downloads before its instance begins; ``transform``: the function that a sink applies."""

    file: str
    transform: bool = False


@dataclass(frozen=True, slots=True)
class PodDetails:
    """``digest`` tells one version from another by what counts for instances that run already.

    ``arguments`` are those of pfrun's Python instance, or with ``program`` the whole command of an instance that is a
    program of its own. ``python_path`` is a directory with more packages of Python, blank for none. ``token_file`` and
    ``trust_certs`` are for the worker at ``admin_url``, blank for none.
    """

    function: str
    digest: str
    admin_url: str
    packages: tuple[Package, ...]
    arguments: tuple[str, ...]
    program: bool = False
    python_path: str = ""
    token_file: str = ""
    trust_certs: str = ""

    def text(self) -> str:
        """As the file has it."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """What the file says. ``LaunchError`` when another version of pfrun wrote it."""
        try:
            values: dict[str, Any] = json.loads(text)
            if values.pop("format") != _FORMAT:
                raise ValueError("unknown format")
            packages = tuple(Package(**each) for each in values.pop("packages"))
            return cls(packages=packages, arguments=tuple(values.pop("arguments")), **values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise LaunchError(f"{FILE}: the worker's pfrun is not that of the image: {reason}") from None
