"""What ``scripts/kube`` runs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from tests.kubernetes.cluster import ClusterError, read, start
from tests.kubernetes.programs import VERSION, build, build_node, home
from tests.kubernetes.real_node import check_machine
from tests.standalone.distribution import UnavailableError


def main() -> int:
    """0; 1 with one line or a few on standard error when it could not be done."""
    parser = argparse.ArgumentParser(prog="scripts/kube", description=f"Kubernetes {VERSION}, for tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="build its programs, unless they are there; prints their directory")
    building.add_argument("--real-node", action="store_true", help="also those of a node on which pods run")
    commands.add_parser("home", help="print that directory, whether it is there or not")
    starting = commands.add_parser("start", help="start it, wait until it answers, and print where it is as JSON")
    starting.add_argument("directory", metavar="DIR", type=Path, help="for data, logs and keys")
    starting.add_argument("--nodes", type=int, default=2, metavar="N", help="nodes on which pods only seem to run")
    starting.add_argument("--real-node", action="store_true", help="in their place one on which pods run; root only")
    loading = commands.add_parser("load", help="give the real node an image that is an archive")
    loading.add_argument("directory", metavar="DIR", type=Path)
    loading.add_argument("archive", metavar="ARCHIVE", type=Path)
    stopping = commands.add_parser("stop", help="end the one that was started with DIR, and throw its data away")
    stopping.add_argument("directory", metavar="DIR", type=Path)
    try:
        run(parser.parse_args())
    except (UnavailableError, ClusterError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    match options.command:
        case "build":
            print(build(os.environ).directory)
            if options.real_node:
                print(build_node(os.environ).directory)
        case "home":
            print(home(os.environ))
        case "start":
            if options.real_node:
                check_machine(os.environ)
            node_programs = build_node(os.environ) if options.real_node else None
            cluster = start(options.directory, build(os.environ), nodes=options.nodes, node_programs=node_programs)
            host = {"host": cluster.host} if options.real_node else {}
            print(json.dumps({"url": cluster.url, "kubeconfig": str(cluster.kubeconfig), **host}))
        case "load":
            running = read(options.directory, build(os.environ))
            if running is None or running.node is None:
                raise ClusterError(f"{options.directory}: there is no cluster with a real node")
            running.node.load(options.archive)
        case "stop":
            if running := read(options.directory, build(os.environ)):
                running.stop()


if __name__ == "__main__":
    sys.exit(main())
