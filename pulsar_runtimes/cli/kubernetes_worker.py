"""What the commands about Kubernetes share: the factory that a configuration means, and its API server."""

from __future__ import annotations

import click

from pulsar_runtimes.runtimes.kubernetes.factory import KubernetesRuntimeFactory
from pulsar_runtimes.worker.worker import Worker


def require_kubernetes(worker: Worker) -> KubernetesRuntimeFactory:
    """The factory of ``worker``; a mistake in the command line when it is of another kind."""
    if not isinstance(worker.factory, KubernetesRuntimeFactory):
        raise click.UsageError(f"the configuration names the {worker.factory.name} runtime; this is about kubernetes")
    return worker.factory
