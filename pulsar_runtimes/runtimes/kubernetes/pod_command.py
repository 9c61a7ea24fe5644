"""What the container of a function runs: download the package, then become the instance.

Source: ``KubernetesRuntime#getExecutorCommand`` and ``RuntimeUtils#composeCmd`` of Apache Pulsar 4.0.8. Pure.

It is one text, as a shell has to find out the pod's number. In the reference most of it goes into that text as it is,
so that a function named ``f $(reboot)`` runs a command in its pod. Here every word is quoted.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pulsar_runtimes.model.details import html_safe_json
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import ClientAuth, InstanceSpec, Language
from pulsar_runtimes.runtimes.command import PythonDependencies, python_arguments, split_flags, without_secrets
from pulsar_runtimes.runtimes.go_command import SECRET_KEYS, go_config
from pulsar_runtimes.runtimes.java_command import JavaPlaces, java_head, java_tail
from pulsar_runtimes.runtimes.option_file import argument_file, ini_options, yaml_safe_json

from .config import KubernetesConfig
from .function_secrets import OPTIONS_KEY, POD_NAME
from .shell_words import MARK, SHARD_ID, join, keep_dollars, quote, safe_words

LOG_DIRECTORY = "logs/functions"
"""Relative: below the working directory of the image."""

OPTIONS_DIRECTORY = "/etc/function"
"""Where the file is mounted that has what must not be on a command line."""

_OPTIONS = f"{OPTIONS_DIRECTORY}/{OPTIONS_KEY}"
JAVA_LOG_CONFIG = "kubernetes_instance_log4j2.xml"
GO_NUMBER = '"instanceID":-1'
"""How ``go_config`` tells a Go instance its number where it stands for all of them."""

_QUOTED_OPTIONS = ("--function_details", "--secrets_provider_config")
_NOT_IN_A_FILE_NAME = re.compile(r"[^a-zA-Z0-9-_.]")


@dataclass(frozen=True, slots=True)
class PodPlaces:
    """Where things lie in a pod. ``class_path`` is that of the implementation behind Java's small instance jar."""

    download_directory: str
    class_path: str


@dataclass(frozen=True, slots=True)
class PodCommand:
    """``command`` of the container, and the content of the file ``options`` that it reads; blank when it reads none."""

    command: list[str]
    options: str = field(default="", repr=False)


def clean_file_name(name: str, *, strict: bool = False) -> str:
    """``name`` as the package is called in a pod (``RuntimeUtils#sanitizeFileName``).

    Accents are taken off, other characters outside ASCII left out. What then has no stem left gets one, but not with
    ``strict``: Python could not import it.
    """
    plain = unicodedata.normalize("NFD", name).encode("ascii", "ignore").decode()
    cleaned = _NOT_IN_A_FILE_NAME.sub("_", plain)
    if not strict and (not cleaned or cleaned.startswith(".")):
        return f"function{cleaned if cleaned.strip('.') else ''}"
    return cleaned


def build_pod_command(
    spec: InstanceSpec, config: KubernetesConfig, places: PodPlaces, *, hides: bool = False
) -> PodCommand:
    """What the container runs. ``spec`` is what the instances are told, with its ``code_file`` on the worker.

    With ``hides`` the options that may hold secrets are not in the command. ``AdmissionError`` when flags cannot be
    read.
    """
    strict = config.strict_reference
    code = _file_in_pod(spec.code_name or posixpath.basename(spec.code_file), places, strict=strict)
    transform = spec.transform_name or posixpath.basename(spec.transform_file)
    transform = transform and _file_in_pod(transform, places, strict=strict)
    if transform == code and not strict:  # one would be downloaded over the other
        transform = _file_in_pod(f"transform_{posixpath.basename(transform)}", places, strict=strict)
    spec = replace(spec, code_file=code, transform_file=transform)
    steps = [_download(spec, config, code)]
    if transform:
        steps.append(f"{_download(spec, config, transform)} --transform-function")
    steps += [f"{SHARD_ID}=${{{POD_NAME}##*-}}", f"echo shardId=${{{SHARD_ID}}}"]
    path = ""
    match spec.function.language:
        case Language.JAVA:
            instance, options = _java(spec, config, places, hides=hides)
        case Language.GO:
            steps.append(f"chmod {'777' if strict else '755'} {quote(code)}")
            instance, options = _go(spec, strict=strict, hides=hides)
        case Language.PYTHON:
            path = f"PYTHONPATH=${{PYTHONPATH}}:{quote(config.extra_function_dependencies_dir)} "
            instance, options = _python(spec, config, hides=hides)
    script = " && ".join([*steps, f"{path}exec {instance}"])
    return PodCommand(["sh", "-c", script if strict else keep_dollars(script)], options)


def _file_in_pod(name: str, places: PodPlaces, *, strict: bool) -> str:
    return f"{places.download_directory}/{clean_file_name(name, strict=strict)}"


def _download(spec: InstanceSpec, config: KubernetesConfig, file: str) -> str:
    function = spec.function
    return join(
        [
            config.pulsar_root_dir + config.config_admin_cli,
            *("--admin-url", config.pulsar_admin_url or spec.web_service_url),
            *_admin_auth(spec.auth),
            *("functions", "download"),
            *("--tenant", function.tenant),
            *("--namespace", function.namespace),
            *("--name", function.name),
            *("--destination-file", file),
        ]
    )


def _admin_auth(auth: ClientAuth | None) -> Iterable[str]:
    if auth is None:
        return
    if auth.plugin.strip() and auth.params.strip():
        yield from ("--auth-plugin", auth.plugin, "--auth-params", auth.params)
    if auth.tls_allow_insecure:
        yield "--tls-allow-insecure"
    if auth.tls_hostname_verification:
        yield "--tls-enable-hostname-verification"
    if auth.tls_trust_certs_file.strip():
        yield from ("--tls-trust-cert-path", auth.tls_trust_certs_file)


def _java(spec: InstanceSpec, config: KubernetesConfig, places: PodPlaces, *, hides: bool) -> tuple[str, str]:
    root = config.pulsar_root_dir
    java = JavaPlaces(
        instance_jar=f"{root}/instances/java-instance.jar",
        class_path=places.class_path,
        log_config=JAVA_LOG_CONFIG,
        log_directory=LOG_DIRECTORY,
        extra_dependencies=config.extra_function_dependencies_dir,
    )
    words = [join(java_head(spec, java, MARK))]
    for argument in spec.java_arguments:
        words += _flags(argument, spec, config, "additionalJavaRuntimeArguments")
    words += _flags(" ".join(split_flags(spec.function.runtime_flags)), spec, config, "runtimeFlags")
    tail = java_tail(spec, MARK)
    options = ""
    if hides:
        kept, secret = without_secrets(tail)
        tail, options = [*kept, f"@{_OPTIONS}"], argument_file(secret)
    words.append(join(unquoted_json(tail)))
    return " ".join(words), options


def _python(spec: InstanceSpec, config: KubernetesConfig, *, hides: bool) -> tuple[str, str]:
    root = config.pulsar_root_dir
    arguments = python_arguments(
        spec,
        logging_directory=LOG_DIRECTORY,
        logging_config_file=f"{root}/conf/functions-logging/console_logging_config.ini",
        dependencies=PythonDependencies(
            config.python_dependency_repository,
            config.python_extra_dependency_repository,
            install=config.install_user_code_dependencies,
        ),
        number=MARK,
    )
    options = ""
    if hides:
        kept, secret = without_secrets(arguments)
        arguments, options = [*kept, "--config_file", _OPTIONS], ini_options(secret)
    flags = _flags(" ".join(split_flags(spec.function.runtime_flags)), spec, config, "runtimeFlags")
    script = quote(f"{root}/instances/python-instance/python_instance_main.py")
    return " ".join(["python3", *flags, script, join(unquoted_json(arguments))]), options


def _go(spec: InstanceSpec, *, strict: bool, hides: bool) -> tuple[str, str]:
    """In the reference each Go instance is told that its number is -1; here each is told its own."""
    config = go_config(spec)
    shown = {key: value for key, value in config.items() if not hides or key not in SECRET_KEYS}
    conf = html_safe_json(shown)
    if not strict:
        # The name of a member cannot be in the text of another one: its quotes would have backslashes before them.
        conf = conf.replace(GO_NUMBER, f'"instanceID":{MARK}', 1)
    more = ["-instance-conf-path", _OPTIONS] if hides else []
    return join([spec.code_file, "-instance-conf", conf, *more]), yaml_safe_json(config) if hides else ""


def _flags(text: str, spec: InstanceSpec, config: KubernetesConfig, setting: str) -> list[str]:
    """The words of flags that people wrote for a shell."""
    try:
        return list(safe_words(text))
    except ValueError as error:
        if config.strict_reference:  # the whole command could not be read there
            return [quote(word) for word in text.split()]
        raise AdmissionError(f"{spec.function.key}: {setting}: {error} (a shell reads these on Kubernetes)") from None


def unquoted_json(arguments: list[str]) -> list[str]:
    """``arguments`` without the quotes that are a part of the argument where no shell takes them off."""
    return [
        argument[1:-1] if number and arguments[number - 1] in _QUOTED_OPTIONS else argument
        for number, argument in enumerate(arguments)
    ]
