"""``pfrun k8s``: what an operator of a cluster wants to know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import click

from pulsar_runtimes.config.document import dump_documents
from pulsar_runtimes.runtimes.kubernetes.live_job import delete_stray, find_strays
from pulsar_runtimes.runtimes.kubernetes.ownership import cluster_label
from pulsar_runtimes.runtimes.kubernetes.rights import ROLE, build_roles, config_map_right, rights_of
from pulsar_runtimes.worker.broker_keeper import EMBEDDED_BROKER

from .confirmation import confirm
from .kubernetes_worker import require_kubernetes
from .options import F, WorkerOptions, conf_option, worker_options
from .output import print_table, print_warnings
from .workload import load_workload


@click.group("k8s")
def command() -> None:
    """Rights on Kubernetes, and what was left there."""


def _namespace_option(text: str) -> Callable[[F], F]:
    return click.option("-n", "--namespace", "namespaces", metavar="NAME", multiple=True, help=text)


@command.command("rbac")
@conf_option
@_namespace_option("A namespace that functions may run in. May be given many times. [default: that of jobNamespace]")
@click.option("--cluster", is_flag=True, help="Print a ClusterRole, for functions in any namespace.")
@click.option(
    "--service-account",
    metavar="NAMESPACE/NAME",
    default="",
    help=f"Who gets the rights. [default: {ROLE} in the first namespace]",
)
def rbac(conf: str | None, namespaces: Sequence[str], cluster: bool, service_account: str) -> None:
    """Print the exact Role that a worker needs for its configuration, with its binding.

    With a customizer, functions may ask for a namespace of their own; then it is a ClusterRole unless --namespace says
    which they are.
    """
    if cluster and namespaces:
        raise click.UsageError("--cluster means all namespaces; leave --namespace out")
    workload = load_workload(WorkerOptions(conf, (), None, EMBEDDED_BROKER))
    factory = require_kubernetes(workload.require_worker())
    print_warnings(workload.warnings)
    usual = factory.usual_namespace()
    if not namespaces and not cluster and factory.settings.customizer is None:
        namespaces = [usual]
    subject_namespace, slash, subject = service_account.partition("/")
    if service_account and not (subject_namespace and slash and subject):
        raise click.BadParameter("must be NAMESPACE/NAME", param_hint="--service-account")
    if not service_account:
        subject_namespace, subject = (*namespaces, usual)[0], ROLE
    rights, places, elsewhere = list(rights_of(factory.settings)), list(namespaces), []
    if (found := config_map_right(factory.settings)) is not None:
        right, place = found
        if not places or place in places:
            rights.append(right)
        else:
            elsewhere = build_roles([right], [place], subject, subject_namespace)
    roles = build_roles(rights, places, subject, subject_namespace) + elsewhere
    click.echo(dump_documents(roles).rstrip("\n"))


@command.command("gc")
@worker_options
@_namespace_option("Where to look. May be given many times. [default: that of jobNamespace]")
@click.option("--all-namespaces", is_flag=True, help="Look in all of them; that needs rights in the whole cluster.")
@click.option("--dry-run", is_flag=True, help="Say what is left, and delete nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before it is deleted.")
def gc(namespaces: Sequence[str], all_namespaces: bool, dry_run: bool, yes: bool, **options: Any) -> int:
    """Delete what carries the label of this worker's functions, and belongs to nothing.

    That are Services, Secrets and ConfigMaps whose StatefulSet is gone. With --function-config, so is everything of
    functions that were not given: be sure to give all, also those that the admin API has registered. With --dry-run
    the exit code is 0 when there is nothing, and 1 when something was found.
    """
    workload = load_workload(WorkerOptions(**options))
    print_warnings(workload.warnings)
    factory = require_kubernetes(workload.require_worker())
    known = {str(function.spec.key) for function in workload.functions} or None
    places = [] if all_namespaces else list(namespaces) or [factory.usual_namespace()]
    with closing(factory.connect()) as api:
        cluster = cluster_label(factory.settings.cluster_name)
        strays = sorted(find_strays(api, cluster, places, known))
        if strays:
            rows = [(stray.namespace, stray.kind, stray.name, stray.function, stray.reason) for stray in strays]
            print_table(("namespace", "kind", "name", "function", "why"), rows)
        if dry_run or not strays:
            return 1 if strays else 0
        confirm("gc", f"delete {len(strays)} object{'' if len(strays) == 1 else 's'}?", yes=yes)
        for stray in strays:
            delete_stray(api, stray)
            click.echo(f"{stray.kind} {stray.name} of namespace {stray.namespace}: deleted")
    return 0
