"""What ``scripts/pulsar`` runs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from tests.standalone.distribution import VERSION, DistributionError, UnavailableError, fetch, home
from tests.standalone.standalone import StandaloneError, read, start


def main() -> int:
    """0; 1 with one line or a few on standard error when it could not be done."""
    parser = argparse.ArgumentParser(prog="scripts/pulsar", description=f"Apache Pulsar {VERSION}, for tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="download it, unless it is there; prints its directory")
    commands.add_parser("home", help="print its directory, whether it is there or not")
    starting = commands.add_parser("start", help="start it, wait until it answers, and print its URLs as JSON")
    starting.add_argument("directory", metavar="DIR", type=Path, help="for data, log and ports; kept, and used again")
    starting.add_argument("--functions-worker", choices=["thread", "process"], help="with Pulsar's own worker inside")
    stopping = commands.add_parser("stop", help="end the one that was started with DIR")
    stopping.add_argument("directory", metavar="DIR", type=Path)
    try:
        run(parser.parse_args())
    except (UnavailableError, DistributionError, StandaloneError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    match options.command:
        case "fetch":
            print(fetch(os.environ))
        case "home":
            print(home(os.environ))
        case "start":
            pulsar_home = fetch(os.environ)
            pulsar = start(options.directory, pulsar_home, os.environ, functions_worker=options.functions_worker)
            urls = {"serviceUrl": pulsar.service_url, "adminUrl": pulsar.admin_url}
            print(json.dumps(urls | {"home": str(pulsar.home), "pid": pulsar.identity.pid}))
        case "stop":
            if running := read(options.directory):
                running.stop()


if __name__ == "__main__":
    sys.exit(main())
