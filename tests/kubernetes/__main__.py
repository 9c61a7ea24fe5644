"""What ``scripts/kube`` runs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from tests.kubernetes.cluster import ClusterError, read, start
from tests.kubernetes.programs import VERSION, build, home
from tests.standalone.distribution import UnavailableError


def main() -> int:
    """0; 1 with one line or a few on standard error when it could not be done."""
    parser = argparse.ArgumentParser(prog="scripts/kube", description=f"Kubernetes {VERSION}, for tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build its programs, unless they are there; prints their directory")
    commands.add_parser("home", help="print that directory, whether it is there or not")
    starting = commands.add_parser("start", help="start it, wait until it answers, and print where it is as JSON")
    starting.add_argument("directory", metavar="DIR", type=Path, help="for data, logs and keys")
    starting.add_argument("--nodes", type=int, default=2, metavar="N", help="nodes on which pods only seem to run")
    stopping = commands.add_parser("stop", help="end the one that was started with DIR, and throw its data away")
    stopping.add_argument("directory", metavar="DIR", type=Path)
    try:
        run(parser.parse_args())
    except (UnavailableError, ClusterError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    match options.command:
        case "build":
            print(build(os.environ).directory)
        case "home":
            print(home(os.environ))
        case "start":
            cluster = start(options.directory, build(os.environ), nodes=options.nodes)
            print(json.dumps({"url": cluster.url, "kubeconfig": str(cluster.kubeconfig)}))
        case "stop":
            if running := read(options.directory, build(os.environ)):
                running.stop()


if __name__ == "__main__":
    sys.exit(main())
