"""The flags of ``pulsar-admin functions localrun``, and what each one becomes. A table, and the reading of it.

The names are those of Apache Pulsar 4.0.8, with the older spellings that it still takes.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from pulsar_runtimes.config.section import Section

F = TypeVar("F", bound=Callable[..., Any])


class Form(enum.Enum):
    """What a flag's value is."""

    TEXT = "TEXT"
    NUMBER = "NUMBER"
    BOOLEAN = "[true|false]"
    LIST = "A,B"
    MAPPING = "JSON"
    FILE = "FILE"


class Target(enum.Enum):
    """What a flag sets."""

    FUNCTION = enum.auto()
    WORKER = enum.auto()
    REFUSED = enum.auto()


@dataclass(frozen=True, slots=True)
class LocalFlag:
    """One flag: ``names`` with the usual one first, and the dotted ``key`` that it sets.

    Numbers and the like stay text: the reader of the configuration checks them as it does those of a file.
    For a refused flag ``help`` is the reason.
    """

    names: tuple[str, ...]
    key: str
    help: str
    form: Form = Form.TEXT
    target: Target = Target.FUNCTION

    @property
    def parameter(self) -> str:
        """The name that click gives the flag's value."""
        return self.names[0].removeprefix("--").replace("-", "_")


def _function(names: str, key: str, text: str, form: Form = Form.TEXT) -> LocalFlag:
    return LocalFlag(tuple(names.split()), key, text, form)


def _worker(names: str, key: str, text: str, form: Form = Form.TEXT) -> LocalFlag:
    return LocalFlag(tuple(names.split()), key, text, form, Target.WORKER)


def _refused(names: str, why: str) -> LocalFlag:
    return LocalFlag(tuple(names.split()), "", why, Form.TEXT, Target.REFUSED)


LOCAL_FLAGS = (
    _function("--py", "py", "The function's Python code: a .py, .zip or .whl file.", Form.FILE),
    _function("--jar", "jar", "A Java function's jar.", Form.FILE),
    _function("--go", "go", "A Go function's executable.", Form.FILE),
    _function("--classname --className", "className", "The function's class, as module.Class."),
    _function("--tenant", "tenant", "Its tenant; public when not given."),
    _function("--namespace", "namespace", "Its namespace; default when not given."),
    _function("--name", "name", "Its name; that of the class when not given."),
    _function("--inputs -i", "inputs", "Its input topics.", Form.LIST),
    _function("--topics-pattern --topicsPattern", "topicsPattern", "A regular expression of input topics."),
    _function("--input-specs --inputSpecs", "inputSpecs", "Input topics with their settings.", Form.MAPPING),
    _function(
        "--custom-serde-inputs --customSerdeInputs",
        "customSerdeInputs",
        "Input topics with their SerDe classes.",
        Form.MAPPING,
    ),
    _function(
        "--custom-schema-inputs --customSchemaInputs",
        "customSchemaInputs",
        "Input topics with their schemas.",
        Form.MAPPING,
    ),
    _function("--input-type-class-name --inputTypeClassName", "inputTypeClassName", "The class of the input."),
    _function("--output -o", "output", "The topic for what the function returns."),
    _function(
        "--output-serde-classname --outputSerdeClassName", "outputSerdeClassName", "The SerDe class of the output."
    ),
    _function("--output-type-class-name --outputTypeClassName", "outputTypeClassName", "The class of the output."),
    _function("--schema-type -st", "outputSchemaType", "The schema of the output."),
    _function(
        "--custom-schema-outputs --customSchemaOutputs",
        "customSchemaOutputs",
        "Output topics with their schemas.",
        Form.MAPPING,
    ),
    _function("--producer-config --producerConfig", "producerConfig", "Settings of the producer.", Form.MAPPING),
    _function("--batch-builder --batchBuilder", "batchBuilder", "DEFAULT or KEY_BASED."),
    _function("--log-topic --logTopic", "logTopic", "A topic for what the function logs."),
    _function(
        "--processing-guarantees --processingGuarantees",
        "processingGuarantees",
        "ATLEAST_ONCE, ATMOST_ONCE, EFFECTIVELY_ONCE or MANUAL.",
    ),
    _function("--user-config --userConfig", "userConfig", "Values that the function may ask for.", Form.MAPPING),
    _function("--secrets", "secrets", "Secrets that the function may ask for.", Form.MAPPING),
    _function("--parallelism", "parallelism", "How many instances to run.", Form.NUMBER),
    _function("--auto-ack --autoAck", "autoAck", "Acknowledge messages for the function.", Form.BOOLEAN),
    _function("--subs-name --subsName", "subName", "The name of the subscription."),
    _function("--subs-position --subsPosition", "subscriptionPosition", "Latest or Earliest."),
    _function("--skip-to-latest --skipToLatest", "skipToLatest", "Pass over what was not read.", Form.BOOLEAN),
    _function(
        "--cleanup-subscription --cleanupSubscription",
        "cleanupSubscription",
        "Delete the subscription with the function.",
        Form.BOOLEAN,
    ),
    _function("--timeout-ms --timeoutMs", "timeoutMs", "When a message that failed comes again.", Form.NUMBER),
    _function(
        "--max-message-retries --maxMessageRetries",
        "maxMessageRetries",
        "How often a message is tried again.",
        Form.NUMBER,
    ),
    _function("--dead-letter-topic --deadLetterTopic", "deadLetterTopic", "Where it goes then."),
    _function("--retain-ordering --retainOrdering", "retainOrdering", "Keep the order of messages.", Form.BOOLEAN),
    _function(
        "--retain-key-ordering --retainKeyOrdering",
        "retainKeyOrdering",
        "Keep the order of messages of one key.",
        Form.BOOLEAN,
    ),
    _function(
        "--forward-source-message-property --forwardSourceMessageProperty",
        "forwardSourceMessageProperty",
        "Hand the properties of a message on.",
        Form.BOOLEAN,
    ),
    _function("--cpu", "resources.cpu", "Cores of an instance.", Form.NUMBER),
    _function("--ram", "resources.ram", "Bytes of memory of an instance.", Form.NUMBER),
    _function("--disk", "resources.disk", "Bytes of disk of an instance.", Form.NUMBER),
    _function(
        "--window-length-count --windowLengthCount",
        "windowConfig.windowLengthCount",
        "Messages in a window.",
        Form.NUMBER,
    ),
    _function(
        "--window-length-duration-ms --windowLengthDurationMs",
        "windowConfig.windowLengthDurationMs",
        "The time a window spans.",
        Form.NUMBER,
    ),
    _function(
        "--sliding-interval-count --slidingIntervalCount",
        "windowConfig.slidingIntervalCount",
        "Messages until the window slides.",
        Form.NUMBER,
    ),
    _function(
        "--sliding-interval-duration-ms --slidingIntervalDurationMs",
        "windowConfig.slidingIntervalDurationMs",
        "The time until the window slides.",
        Form.NUMBER,
    ),
    _function("--runtime-flags --runtimeFlags", "runtimeFlags", "Options of the function's interpreter."),
    _function(
        "--custom-runtime-options --customRuntimeOptions", "customRuntimeOptions", "Read by the Kubernetes runtime."
    ),
    _worker("--broker-service-url --brokerServiceUrl", "pulsarServiceUrl", "The broker; without it pfrun brings one."),
    _worker("--web-service-url --webServiceUrl", "pulsarWebServiceUrl", "The broker's HTTP address."),
    _worker(
        "--client-auth-plugin --clientAuthPlugin",
        "brokerClientAuthenticationPlugin",
        "The class that proves to the broker who the function is.",
    ),
    _worker(
        "--client-auth-params --clientAuthParams",
        "brokerClientAuthenticationParameters",
        "What that class needs, such as token:...",
    ),
    _worker("--use-tls --use_tls", "useTls", "Speak TLS with the broker.", Form.BOOLEAN),
    _worker(
        "--tls-allow-insecure --tls_allow_insecure",
        "tlsAllowInsecureConnection",
        "Take any certificate.",
        Form.BOOLEAN,
    ),
    _worker(
        "--hostname-verification-enabled --hostname_verification_enabled",
        "tlsEnableHostnameVerification",
        "Check that the certificate is for the host.",
        Form.BOOLEAN,
    ),
    _worker(
        "--tls-trust-cert-path --tls_trust_cert_path", "tlsTrustCertsFilePath", "The certificates to trust.", Form.FILE
    ),
    _refused("--function-type -t", "pfrun has no built-in functions; give the code as --py, --jar or --go"),
    _worker(
        "--state-storage-service-url --stateStorageServiceUrl",
        "stateStorageServiceUrl",
        "Where functions keep their state.",
    ),
    _refused("--metrics-port-start --metricsPortStart", "each instance chooses its own free port for metrics"),
    _refused("--instance-id-offset --instanceIdOffset", "this version of pfrun always counts instances from 0"),
    _refused(
        "--secrets-provider-classname --secretsProviderClassName",
        "this version of pfrun hands secrets over as clear text only",
    ),
    _refused(
        "--secrets-provider-config --secretsProviderConfig",
        "this version of pfrun hands secrets over as clear text only",
    ),
)
"""All but those that pick what to run and where: --function-config-file, --fqfn and --runtime."""


FUNCTION_FLAGS = tuple(flag for flag in LOCAL_FLAGS if flag.target is Target.FUNCTION)
"""Those that say what the function is, wherever it runs."""


def local_flags(command: F) -> F:
    """Every flag of the table as an option of ``command``."""
    return _options(command, LOCAL_FLAGS)


def function_flags(command: F) -> F:
    """Those of :data:`FUNCTION_FLAGS` as options of ``command``."""
    return _options(command, FUNCTION_FLAGS)


def apply_flags(section: Section, flags: Mapping[str, Any]) -> Section:
    """``section`` of a function config with what the ``flags`` say in place of its own."""
    for flag in FUNCTION_FLAGS:
        value = flags.get(flag.parameter)
        if value is not None:
            section = section.with_value(flag.key.split("."), value, flag.names[0])
    return section


def _options(command: F, flags: Sequence[LocalFlag]) -> F:
    for flag in reversed(flags):
        command = _option(flag)(command)
    return command


def _option(flag: LocalFlag) -> Callable[[F], F]:
    settings: dict[str, Any] = {"default": None, "metavar": flag.form.value, "help": flag.help, "callback": _read(flag)}
    shown, hidden = [name for name in flag.names if _is_usual(name)], [n for n in flag.names if not _is_usual(n)]
    if flag.form is Form.BOOLEAN:  # --auto-ack and --auto-ack true are the same
        settings |= {"is_flag": False, "flag_value": "true"}
    if flag.form is Form.FILE:
        settings["type"] = click.Path()
    if flag.target is Target.REFUSED:
        settings["hidden"] = True

    def decorate(command: F) -> F:
        decorated = click.option(*shown, flag.parameter, **settings)(command)
        if not hidden:
            return decorated
        old = settings | {"hidden": True, "callback": _read_old(flag)}
        return click.option(*hidden, f"old_{flag.parameter}", expose_value=False, **old)(decorated)

    return decorate


def _is_usual(name: str) -> bool:
    return name.islower() and "_" not in name


def _read(flag: LocalFlag) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Checks a flag's value and turns it into what the configuration's reader takes."""

    def read(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        if value is None:
            return ctx.meta.get(flag.parameter)
        if flag.target is Target.REFUSED:
            raise click.UsageError(f"{param.opts[0]}: cannot be honoured: {flag.help}", ctx)
        if flag.form is Form.LIST:
            return [part.strip() for part in value.split(",")]
        return _parse_mapping(value) if flag.form is Form.MAPPING else value

    return read


def _read_old(flag: LocalFlag) -> Callable[[click.Context, click.Parameter, Any], None]:
    def read(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value is not None:
            ctx.meta[flag.parameter] = _read(flag)(ctx, param, value)

    return read


def _parse_mapping(text: str) -> Mapping[str, Any]:
    """The value is never repeated in the message: it may hold secrets."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        raise click.BadParameter(f'must be a mapping in JSON, such as \'{{"key": "value"}}\' (broken{where})') from None
    if not isinstance(value, dict):
        raise click.BadParameter('must be a mapping in JSON, such as \'{"key": "value"}\' (got something else)')
    return value
