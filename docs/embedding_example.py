"""Runs a function inside a program of your own: python docs/embedding_example.py [functions_worker.yml]"""

import sys

from pulsar_runtimes import Worker, load_function_config, load_worker_config

config = load_worker_config(sys.argv[1] if len(sys.argv) > 1 else "conf/functions_worker.thread.yml")
function = load_function_config("conf/function-config.yml")

with Worker(config) as worker:
    worker.submit(function)
    worker.wait_running(function.key)
    for instance in worker.status(function.key).instances:
        print(f"{instance.key}: {instance.state.value}")
# Here nothing runs any more: neither the function nor the broker.
