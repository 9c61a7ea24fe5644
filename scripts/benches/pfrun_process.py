"""The process of ``pfrun_side.py``. The first line of its input is the worker's configuration, the others are requests.

It imports nothing but pfrun: its start and its memory are measured.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

from pulsar_runtimes import PfrunError, Worker, parse_function_config, parse_worker_config
from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.model.names import FunctionKey


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    (state_dir,) = sys.argv[1:]
    config = parse_worker_config(parse_document(sys.stdin.readline()), {})
    with Worker(config, state_dir=state_dir) as worker:
        answer({"result": None})
        for line in sys.stdin:
            try:
                answer({"result": done(worker, json.loads(line))})
            except PfrunError as error:
                answer({"error": str(error)})


def answer(data: dict[str, Any]) -> None:
    print(json.dumps(data), flush=True)


def done(worker: Worker, request: dict[str, Any]) -> Any:
    """What a request is answered with, once it is done."""
    if request["do"] == "create":
        worker.submit(parse_function_config(parse_document(json.dumps(request["function"]))))
        return None
    key = FunctionKey("public", "default", request["name"])
    if request["do"] == "delete":
        worker.remove(key)
        return None
    (instance,) = worker.status(key, stats=request["do"] == "status").instances
    if request["do"] == "pid":
        return getattr(worker.replica(instance.key), "pid", None)
    exceptions = instance.stats.latest_user_exceptions if instance.stats else ()
    return [instance.state.value, instance.restarts, [instance.reason, *(text for text, _ in exceptions)]]


if __name__ == "__main__":
    main()
