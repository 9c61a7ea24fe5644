"""The measurements behind ``docs/benchmarks.md``. Figures are ratios or come from one run; the machine is named.

``throughput``: CPU time per message of an identity function at ATLEAST_ONCE, beside a plain loop over the client
library (receive, send_async, acknowledge in the callback), alternating on one broker.
``reference``: the same function in Apache Pulsar's own Python instance and in pfrun's, alternating on one broker.
``instances``: how fast process instances become ready, and their proportional memory.
``memory``: how much the worker grows when large messages wait for a slow function, with a limit and without.
``recovery``: how long after SIGKILL of a loaded instance the one that replaces it has its first output.
``startup``: start times and memory of Java, Go and Python functions, and of the worker, beside Apache Pulsar's own.
``kubernetes``: how long many functions take until they are ready, beside a plain loop over the client library.
``restarts``: what becomes of instances that die, hang, cannot start or take too much memory, beside the same.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from collections.abc import Callable

from tests.standalone.distribution import DistributionError, UnavailableError
from tests.standalone.standalone import StandaloneError

from .instances import instances
from .kubernetes import kubernetes
from .memory import memory
from .recovery import recovery
from .restarts import restarts
from .sides import SideError
from .startup import startup
from .throughput import plain_loop, reference, throughput

BENCHMARKS: dict[str, Callable[[argparse.Namespace], None]] = {
    "throughput": throughput,
    "reference": reference,
    "instances": instances,
    "memory": memory,
    "recovery": recovery,
    "startup": startup,
    "restarts": restarts,
    "kubernetes": kubernetes,
}
DEFAULT_ROUNDS = {"startup": 3, "restarts": 3, "kubernetes": 3}


def main() -> int:
    """0; 1 with one line or a few on standard error when something could not be measured."""
    parser = argparse.ArgumentParser(
        "scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--messages", type=positive, default=50_000, help="throughput, reference: messages a round")
    parser.add_argument(
        "--rounds", type=positive, help="of all but instances and memory; by default 5, of the last three 3"
    )
    parser.add_argument("--instances", type=positive, default=100, help="instances: how many")
    parser.add_argument("--functions", type=positive, default=1000, help="kubernetes: how many")
    parser.add_argument("--plain", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain:
        plain_loop(options.plain, options.messages)
        return 0
    # A benchmark that is told to stop ends what it has started.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    try:
        for name in BENCHMARKS if options.what == "all" else [options.what]:
            print(f"\n{name}", flush=True)
            rounds = options.rounds or DEFAULT_ROUNDS.get(name, 5)
            BENCHMARKS[name](argparse.Namespace(**vars(options) | {"rounds": rounds}))
    except (UnavailableError, DistributionError, StandaloneError, SideError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def positive(text: str) -> int:
    """What argparse makes a number of that counts something."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1 (got {text!r})")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
