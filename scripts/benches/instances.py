"""How fast process instances become ready, and their proportional memory."""

from __future__ import annotations

import argparse
import statistics
import time

import psutil

from .workers import IDENTITY, MIB, client_of, function_of, pids_of, running


def instances(options: argparse.Namespace) -> None:
    count = options.instances
    with running("process", {}) as worker, client_of(worker):
        warm = function_of("warm", "identity.Identity", IDENTITY)
        worker.submit(warm)
        worker.wait_running(warm.key)
        function = function_of("many", "identity.Identity", IDENTITY, parallelism=count)
        started = time.perf_counter()
        worker.submit(function)
        worker.wait_running(function.key, seconds=120)
        seconds = time.perf_counter() - started
        print(f"  {count} instances ready in {seconds:.2f} s: {count / seconds:.0f} a second (10 is wanted)")
        time.sleep(1)
        pss = [psutil.Process(pid).memory_full_info().pss / MIB for pid in pids_of(worker, function)]
        print(
            f"  proportional memory each: median {statistics.median(pss):.1f} MiB, most {max(pss):.1f} (12 is wanted)"
        )
        launcher = psutil.Process(pids_of(worker, function)[0]).parent()
        assert launcher is not None
        print(f"  the launcher they are forked from: {launcher.memory_full_info().pss / MIB:.1f} MiB")
