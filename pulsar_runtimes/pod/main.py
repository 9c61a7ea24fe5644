"""The first program of a pod: find out which instance this is, get its package from the worker, become the instance.

``python -m pulsar_runtimes.pod DIGEST``; no shell is needed, and nothing of Java. The details are read when the
instance starts, and not again. ``DIGEST`` is that of the details which the pod was made for. Kubernetes may show those
of an older version for a moment; they are waited for, so that no pod of a new version runs an old one.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pulsar_runtimes.client.config import ClientConfig, load_client_config
from pulsar_runtimes.client.connection import Connection
from pulsar_runtimes.client.errors import MissingError, RequestError, WorkerError
from pulsar_runtimes.client.functions import FunctionsClient
from pulsar_runtimes.instance.environment import LOGGING_CONFIG_FILE
from pulsar_runtimes.model.errors import LaunchError, PfrunError
from pulsar_runtimes.model.names import FunctionKey

from .details import DIRECTORY, FILE, ORDINAL, POD_NAME, WORK_DIRECTORY, Package, PodDetails
from .details import LOGGING_CONFIG_FILE as LOGGING_MARK

DETAILS_SECONDS = 90.0
"""How long the right version is waited for: a kubelet looks once a minute."""

DOWNLOAD_SECONDS = 120.0
"""How long a worker may be away. Then this program ends, and Kubernetes starts it again in its own time."""

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 5.0
_POLL_SECONDS = 1.0
_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the instance until it ends; its exit code, or 1 with one line of what is wrong."""
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))  # the first process of a pod has no default
    (digest,) = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.INFO, format="[%(asctime)s] [%(levelname)s] %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        ordinal = parse_ordinal(os.environ)
        details = wait_for_details(Path(DIRECTORY, FILE), digest)
        for package in details.packages:
            download(details, package, Path(WORK_DIRECTORY))
    except PfrunError as error:
        print(error, file=sys.stderr)
        return 1
    command = fill_in(details.arguments, ordinal)
    if details.program:
        return _replaced_by(command)
    if details.python_path:
        sys.path.append(details.python_path)
    from pulsar_runtimes.instance.main import main as run_instance  # large, and of no use before

    return run_instance(command)


def _replaced_by(command: Sequence[str]) -> int:
    """Become the program, which may be the package itself. 1 when there is no such program."""
    if Path(command[0]).is_relative_to(WORK_DIRECTORY):
        Path(command[0]).chmod(0o755)
    try:
        os.execvp(command[0], list(command))
    except OSError as error:
        print(f"{command[0]}: cannot be run in this image: {error.strerror}", file=sys.stderr)
        return 1


def parse_ordinal(environment: Mapping[str, str]) -> int:
    """The number at the end of the pod's name. ``LaunchError`` when there is none."""
    name = environment.get(POD_NAME, "")
    number = name.rpartition("-")[2]
    if not (number.isascii() and number.isdecimal()):
        raise LaunchError(f"{POD_NAME}: must be the name of a pod of a StatefulSet, such as function-0 (got {name!r})")
    return int(number)


def fill_in(arguments: Sequence[str], ordinal: int) -> list[str]:
    """``arguments`` with what only a pod knows."""
    return [each.replace(LOGGING_MARK, LOGGING_CONFIG_FILE).replace(ORDINAL, str(ordinal)) for each in arguments]


def wait_for_details(
    path: Path,
    digest: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> PodDetails:
    """Those of ``digest``; after :data:`DETAILS_SECONDS` whatever is there.

    That is a newer version then, whose pods are about to take the place of this one. ``LaunchError`` when there is
    nothing that can be read.
    """
    deadline = clock() + DETAILS_SECONDS
    while True:
        try:
            details = PodDetails.parse(path.read_text())
        except OSError as error:
            raise LaunchError(f"{path}: cannot be read: {error.strerror}") from None
        if details.digest == digest:
            return details
        if clock() >= deadline:
            _log.warning("%s: the details are those of another version, which is newer", details.function)
            return details
        sleep(_POLL_SECONDS)


def download(
    details: PodDetails,
    package: Package,
    directory: Path,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Get ``package`` from the worker, and try again for :data:`DOWNLOAD_SECONDS`.

    The token is read for each attempt, as somebody may renew it. ``LaunchError`` with the last reason.
    """
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / package.file
    partial = target.with_name(f"{target.name}.partial")
    deadline, wait = clock() + DOWNLOAD_SECONDS, _FIRST_WAIT_SECONDS
    while True:
        try:
            _download_once(details, package, partial)
            partial.replace(target)
            return
        except OSError as error:
            raise LaunchError(f"{target}: cannot be written: {error.strerror}") from None
        except WorkerError as error:
            gives_up = isinstance(error, RequestError) and not isinstance(error, MissingError)
            if gives_up or clock() >= deadline:
                raise LaunchError(f"the package cannot be downloaded: {error}") from None
            _log.warning("the package cannot be downloaded yet: %s", error)
        sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT_SECONDS)


def _download_once(details: PodDetails, package: Package, partial: Path) -> None:
    tenant, namespace, name = details.function.split("/", 2)
    with partial.open("wb") as file, Connection(_client_config(details)) as connection:
        key = FunctionKey(tenant, namespace, name)
        FunctionsClient(connection).download(key, file, transform_function=package.transform)


def _client_config(details: PodDetails) -> ClientConfig:
    return load_client_config(
        {},  # what a function's variables are called is no business of this
        url=details.admin_url,
        token_file=details.token_file or None,
        trust_certs=details.trust_certs or None,
    )
