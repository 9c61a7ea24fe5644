"""What ``pythonInstanceLocation`` of Apache Pulsar's worker is to name: pfrun's instance, with the same command line.

It is run as a file, by whichever ``python3`` is on the worker's PATH: so it holds nothing that an old one could not
read, and imports pfrun only after it has looked whether it is there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SITE = HERE.parents[1]
NEEDED = (3, 11)


def main() -> int:
    """The exit code of the instance; 1 with one line on standard error when this Python cannot run it."""
    # Python puts the directory of the file it runs before all others; a function may have modules of the same names.
    sys.path[:] = [place for place in sys.path if Path(place).resolve() != HERE]
    try:
        if sys.version_info < NEEDED:
            raise ImportError("it needs Python {}.{} or newer".format(*NEEDED))
        from pulsar_runtimes.dropin.rotating_file import answer_to_its_name
        from pulsar_runtimes.instance.main import main as run
    except ImportError as error:
        print(complaint(error), file=sys.stderr)
        return 1
    answer_to_its_name()
    return run()


def complaint(error: ImportError) -> str:
    owner = find_owner()
    remedy = f"{owner} has it" if owner else "find the Python that has it"
    return (
        f"{sys.executable} cannot run the pulsar_runtimes of {SITE}: {' '.join(str(error).split())}; "
        f"{remedy}: put its directory first on the PATH of the worker, where python3 is looked for"
    )


def find_owner() -> Path | None:
    """The Python that pfrun was installed with, as far as the place of this file tells."""
    library = SITE.parent  # prefix/lib/python3.11
    installed = library.parents[1] / "bin" / library.name if SITE.name.endswith("-packages") else None
    checkout = SITE / ".venv" / "bin" / "python3"
    for python in (installed, checkout):
        if python and python.is_file() and os.access(python, os.X_OK):
            return python
    return None


if __name__ == "__main__":
    sys.exit(main())
