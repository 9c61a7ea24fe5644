"""What the pods of a function are told with ``instanceLauncher: pfrun``, and what their container runs. Pure.

The command of a container stays as it is while a function is scaled, or changed in what does not count for instances
that run: all that is the function's own is in a ConfigMap. Only a digest of what does count stands in the command, so
that pods are made anew when it changes, and only then.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pulsar_runtimes.model.details import html_safe_json
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import ClientAuth, InstanceSpec, Language
from pulsar_runtimes.pod.details import (
    FILE,
    LOG_DIRECTORY,
    LOGGING_CONFIG_FILE,
    ORDINAL,
    WORK_DIRECTORY,
    Package,
    PodDetails,
)
from pulsar_runtimes.runtimes.command import PythonDependencies, python_arguments, split_flags, without_secrets
from pulsar_runtimes.runtimes.go_command import SECRET_KEYS, go_config
from pulsar_runtimes.runtimes.java_command import JavaPlaces, java_head, java_tail
from pulsar_runtimes.runtimes.option_file import argument_file, ini_options, yaml_safe_json

from .config import KubernetesConfig
from .function_secrets import OPTIONS_KEY
from .pod_command import (
    GO_NUMBER,
    JAVA_LOG_CONFIG,
    OPTIONS_DIRECTORY,
    PodPlaces,
    clean_file_name,
    unquoted_json,
)
from .shell_words import keep_dollars

DETAILS_KEY = "details"
"""The end of the ConfigMap's name."""

LARGEST_DETAILS_BYTES = 1 << 20
"""What the API server takes."""

_NEEDED = {
    Language.JAVA: "java in its PATH, and Apache Pulsar in pulsarRootDir",
    Language.GO: "whatever libraries the program is linked with",
}
"""What an image for Python alone does not have."""

_OPTIONS = f"{OPTIONS_DIRECTORY}/{OPTIONS_KEY}"
_FILE_SCHEME = "file://"
_DIGITS = 32


@dataclass(frozen=True, slots=True)
class PodPlan:
    """``command`` of the container, its ``details``, and the file ``options`` that it reads; blank when none."""

    command: list[str]
    details: PodDetails
    options: str = field(default="", repr=False)


def launcher_problem(spec: InstanceSpec, config: KubernetesConfig) -> str:
    """Why pfrun's own launcher cannot run the function of ``spec``; blank when it can."""
    address = config.pulsar_admin_url or spec.web_service_url
    if spec.auth is not None and spec.auth.tls_allow_insecure and address.startswith("https://"):
        return (
            "instanceLauncher pfrun downloads packages from a worker only whose certificate it can verify; "
            "take tlsAllowInsecureConnection away, or give an http:// address as pulsarAdminUrl"
        )
    language = spec.function.language
    if language in _NEEDED and config.function_docker_images is None:
        return (
            f"instanceLauncher pfrun runs it only in an image that functionDockerImages names for {language.name}: "
            f"one that has pfrun, and {_NEEDED[language]}"
        )
    return ""


def build_pod_plan(spec: InstanceSpec, config: KubernetesConfig, places: PodPlaces, *, hides: bool = False) -> PodPlan:
    """What the pods of the function of ``spec`` run and are told.

    ``spec`` is what the instances are told, with its ``code_file`` on the worker. With ``hides`` what may be secret is
    not in the details. ``AdmissionError`` for a function that cannot be run so.
    """
    if problem := launcher_problem(spec, config):
        raise AdmissionError(f"{spec.function.key}: {problem}")
    details, options = _details(spec, config, places, hides=hides)
    digest = _digest(_details(_counting(spec), config, places, hides=hides)[0])
    flags = split_flags(spec.function.runtime_flags) if spec.function.language is Language.PYTHON else []
    command = ["python3", "-P", *(keep_dollars(flag) for flag in flags), "-m", "pulsar_runtimes.pod", digest]
    return PodPlan(command, replace(details, digest=digest), options)


def build_config_map(name: str, namespace: str, labels: Mapping[str, str], details: PodDetails) -> dict[str, Any]:
    """The ConfigMap with the details of the job ``name``, which its pods mount as a file."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-{DETAILS_KEY}", "namespace": namespace, "labels": dict(labels)},
        "data": {FILE: details.text()},
    }


def _counting(spec: InstanceSpec) -> InstanceSpec:
    """``spec`` without what makes no difference to instances that run.

    Resources are the container's, and ``customRuntimeOptions`` are read by the worker.
    """
    function = replace(spec.function, parallelism=1, custom_runtime_options="", resources=None)
    return replace(spec, function=function, function_id="", function_version="", transform_id="")


def _digest(details: PodDetails) -> str:
    return hashlib.sha256(details.text().encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def _details(spec: InstanceSpec, config: KubernetesConfig, places: PodPlaces, *, hides: bool) -> tuple[PodDetails, str]:
    """The details without a digest, and the options that are not in them."""
    file = clean_file_name(spec.code_name or posixpath.basename(spec.code_file))
    packages = [Package(file)]
    spec = replace(spec, code_file=f"{WORK_DIRECTORY}/{file}")
    if spec.transform_file:
        transform = clean_file_name(spec.transform_name or posixpath.basename(spec.transform_file))
        transform = f"transform_{transform}" if transform == file else transform
        packages.append(Package(transform, transform=True))
        spec = replace(spec, transform_file=f"{WORK_DIRECTORY}/{transform}")
    auth = spec.auth or ClientAuth()
    address = config.pulsar_admin_url or spec.web_service_url
    details = PodDetails(
        function=str(spec.function.key),
        digest="",
        admin_url=address,
        packages=tuple(packages),
        arguments=(),
        token_file=auth.params.removeprefix(_FILE_SCHEME) if auth.params.startswith(_FILE_SCHEME) else "",
        trust_certs=auth.tls_trust_certs_file if address.startswith("https://") else "",
    )
    match spec.function.language:
        case Language.PYTHON:
            arguments, options = _python(spec, config, hides=hides)
            python_path = config.extra_function_dependencies_dir
            return replace(details, arguments=tuple(arguments), python_path=python_path), options
        case Language.GO:
            arguments, options = _go(spec, hides=hides)
        case Language.JAVA:
            arguments, options = _java(spec, config, places, hides=hides)
    return replace(details, arguments=tuple(arguments), program=True), options


def _python(spec: InstanceSpec, config: KubernetesConfig, *, hides: bool) -> tuple[list[str], str]:
    arguments = python_arguments(
        spec,
        logging_directory=LOG_DIRECTORY,
        logging_config_file=LOGGING_CONFIG_FILE,
        dependencies=PythonDependencies(
            config.python_dependency_repository,
            config.python_extra_dependency_repository,
            install=config.install_user_code_dependencies,
        ),
        number=ORDINAL,
    )
    if not hides:
        return arguments, ""
    kept, secret = without_secrets(arguments)
    return [*kept, "--config_file", _OPTIONS], ini_options(secret)


def _java(spec: InstanceSpec, config: KubernetesConfig, places: PodPlaces, *, hides: bool) -> tuple[list[str], str]:
    java = JavaPlaces(
        instance_jar=f"{config.pulsar_root_dir}/instances/java-instance.jar",
        class_path=places.class_path,
        log_config=JAVA_LOG_CONFIG,
        log_directory=LOG_DIRECTORY,
        extra_dependencies=config.extra_function_dependencies_dir,
    )
    flags = [*spec.java_arguments, *split_flags(spec.function.runtime_flags)]
    tail, options = unquoted_json(java_tail(spec, ORDINAL)), ""
    if hides:
        kept, secret = without_secrets(tail)
        tail, options = [*kept, f"@{_OPTIONS}"], argument_file(secret)
    return [*java_head(spec, java, ORDINAL), *flags, *tail], options


def _go(spec: InstanceSpec, *, hides: bool) -> tuple[list[str], str]:
    config = go_config(spec)
    shown = {key: value for key, value in config.items() if not hides or key not in SECRET_KEYS}
    # The name of a member cannot be in the text of another one: its quotes would have backslashes before them.
    conf = html_safe_json(shown).replace(GO_NUMBER, f'"instanceID":{ORDINAL}', 1)
    arguments = [spec.code_file, "-instance-conf", conf]
    if not hides:
        return arguments, ""
    return [*arguments, "-instance-conf-path", _OPTIONS], yaml_safe_json(config)


def shown_options(config_map: Mapping[str, Any]) -> dict[str, str]:
    """What a ConfigMap of ours says, by the name of each option, for telling which of them differ."""
    try:
        details = json.loads(config_map["data"][FILE])
        arguments = [str(each) for each in details.pop("arguments")]
    except (KeyError, TypeError, ValueError, AttributeError):
        return {FILE: "unreadable"}
    named = {str(name): json.dumps(value) for name, value in details.items()}
    for name, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if name.startswith("-"):
            named[name] = value
    return named
