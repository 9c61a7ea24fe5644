"""``pfrun localrun``."""

from __future__ import annotations

from typing import Any

import click

from pulsar_runtimes.config.function import read_function_config
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.worker import WorkerConfig, parse_worker_config
from pulsar_runtimes.model.errors import ConfigError
from pulsar_runtimes.runtimes.registry import RUNTIME_FACTORIES
from pulsar_runtimes.supervisor.policy import RestartPolicy

from .function_name import fqfn_option, split_fqfn
from .local_flags import LOCAL_FLAGS, Target, apply_flags, local_flags
from .log_lines import set_up_logging
from .options import broker_option, given, grace_option, plugin_names, state_dir_option, verbose_option
from .output import print_warnings
from .serving import raising_when_given_up, serve
from .workload import Workload, add_function_section, add_worker

_POLICY = RestartPolicy(give_up_after=3)
"""Somebody is waiting: a function that does not come up is better told of soon."""

_SECURITY_KEYS = frozenset(
    {
        "brokerClientAuthenticationPlugin",
        "brokerClientAuthenticationParameters",
        "useTls",
        "tlsAllowInsecureConnection",
        "tlsEnableHostnameVerification",
        "tlsTrustCertsFilePath",
    }
)
"""Instances are told of these only where authentication is on."""


def _thread_or_process(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """pulsar-admin spells them in capitals."""
    name: str | None = given(ctx, param, value)
    return name.lower() if name and name.upper() in ("THREAD", "PROCESS") else name


@click.command("localrun")
@click.option(
    "--function-config-file",
    "--functionConfigFile",
    metavar="FILE",
    type=click.Path(),
    callback=given,
    help="The function's configuration; flags come before what stands there.",
)
@fqfn_option
@local_flags
@click.option(
    "--runtime-factory",
    "--runtime",
    metavar="NAME",
    default="process",
    show_default=True,
    callback=_thread_or_process,
    shell_complete=plugin_names(RUNTIME_FACTORIES),
    help="thread, process, or another runtime that is installed.",
)
@broker_option
@state_dir_option
@grace_option
@verbose_option
def command(
    function_config_file: str | None,
    fqfn: str | None,
    runtime_factory: str,
    broker: str,
    state_dir: str | None,
    grace: float,
    verbose: bool,
    **flags: Any,
) -> int:
    """Run one function, with the flags of pulsar-admin functions localrun.

    It runs until SIGTERM, SIGINT or SIGHUP, and the exit code is 0 then; it is 1 when the function is given up.
    Without --broker-service-url it runs on a broker that pfrun brings. A relative path of the code starts at the
    working directory, or else where the --function-config-file lies.

    No other configuration is read. Older spellings of flags, such as --logTopic, are taken as well.
    """
    workload = Workload()
    try:
        config = _worker_config(runtime_factory, flags)
    except ConfigError as error:
        workload.problems += error.problems
    else:
        add_worker(workload, config, state_dir, broker, grace_seconds=grace, restart_policy=_POLICY)
    try:
        section = _function_section(function_config_file, {**flags, **split_fqfn(fqfn, flags)})
    except ConfigError as error:
        workload.problems += error.problems
    else:
        add_function_section(workload, section, function_config_file or "")
    print_warnings(workload.warnings_to_print())
    worker = workload.require_worker()
    set_up_logging(verbose=verbose)
    return serve(worker, workload.functions, grace, raising_when_given_up(worker))


def _worker_config(runtime_factory: str, flags: dict[str, Any]) -> WorkerConfig:
    section = Section({}).with_value(("functionRuntimeFactoryClassName",), runtime_factory, "--runtime-factory")
    for flag in LOCAL_FLAGS:
        value = flags.get(flag.parameter)
        if flag.target is Target.WORKER and value is not None:
            section = section.with_value((flag.key,), value, flag.names[0])
            if flag.key in _SECURITY_KEYS:
                section = section.with_value(("authenticationEnabled",), True, flag.names[0])
    return parse_worker_config(section)


def _function_section(file: str | None, flags: dict[str, Any]) -> Section:
    return apply_flags(read_function_config(file), flags)
