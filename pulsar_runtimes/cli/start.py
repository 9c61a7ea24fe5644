"""``pfrun start``."""

from __future__ import annotations

from typing import Any

import click

from .log_lines import set_up_logging
from .options import WorkerOptions, grace_option, verbose_option, worker_options
from .output import print_warnings
from .serving import serve
from .workload import load_workload


@click.command("start")
@worker_options
@grace_option
@click.option(
    "--listen",
    metavar="ADDRESS",
    default="",
    help="Where the admin API listens, with a workerPort.  [default: 127.0.0.1; with authentication 0.0.0.0]",
)
@click.option("--insecure", is_flag=True, help="Let the admin API listen to everybody without authentication.")
@verbose_option
def command(grace: float, verbose: bool, listen: str, insecure: bool, **options: Any) -> int:
    """Run a worker with its functions until SIGTERM, SIGINT or SIGHUP.

    One line on standard output tells when it is up; the log, with the topics of each function, goes to standard
    error. A worker may run without
    functions. A function that was given up is logged, and the others go on.

    Nothing is started when anything in the files is wrong: then all of it is told, and the exit code is 2.
    """
    workload = load_workload(WorkerOptions(**options), grace_seconds=grace)
    print_warnings(workload.warnings_to_print())
    worker = workload.require_worker()
    set_up_logging(verbose=verbose)
    companion, watch = None, None
    if worker.config.worker_port is not None or worker.config.worker_port_tls is not None:
        from pulsar_runtimes.admin.function_worker import FunctionWorker, serves

        if serves(worker.config):
            companion = FunctionWorker(worker, host=listen, insecure=insecure)
            watch = companion.check
    return serve(worker, workload.functions, grace, watch, companion)
