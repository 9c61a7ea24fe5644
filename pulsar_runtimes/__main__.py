"""``python -m pulsar_runtimes`` is ``pfrun``."""

from pulsar_runtimes.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
