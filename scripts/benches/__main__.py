"""The measurements behind ``docs/benchmarks.md``. Figures are ratios or come from one run; the machine is named.

``throughput``: CPU time per message of an identity function at ATLEAST_ONCE, beside a plain loop over the client
library (receive, send_async, acknowledge in the callback), alternating on one broker.
``reference``: the same function in Apache Pulsar's own Python instance and in pfrun's, alternating on one broker.
``instances``: how fast process instances become ready, and their proportional memory.
``memory``: how much the worker grows when large messages wait for a slow function, with a limit and without.
``recovery``: how long after SIGKILL of a loaded instance the one that replaces it has its first output.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable

from .instances import instances
from .memory import memory
from .recovery import recovery
from .throughput import plain_loop, reference, throughput

BENCHMARKS: dict[str, Callable[[argparse.Namespace], None]] = {
    "throughput": throughput,
    "reference": reference,
    "instances": instances,
    "memory": memory,
    "recovery": recovery,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        "scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--messages", type=positive, default=50_000, help="throughput, reference: messages a round")
    parser.add_argument("--rounds", type=positive, default=5, help="throughput, reference, recovery: rounds")
    parser.add_argument("--instances", type=positive, default=100, help="instances: how many")
    parser.add_argument("--plain", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain:
        plain_loop(options.plain, options.messages)
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in BENCHMARKS if options.what == "all" else [options.what]:
        print(f"\n{name}")
        BENCHMARKS[name](options)


def positive(text: str) -> int:
    """What argparse makes a number of that counts something."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1 (got {text!r})")
    return int(text)


if __name__ == "__main__":
    main()
