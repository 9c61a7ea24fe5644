"""The entry point of ``pfrun``.

What needs no command - the help, the version - is answered here from the standard library alone: importing
``click`` costs more than everything else that ``pfrun --help`` does.
"""

import os
import sys

COMPLETION_VARIABLE = "_PFRUN_COMPLETE"
"""Set by the shell's completion script, which calls ``pfrun`` without arguments."""

HELP_FILE = os.path.join(os.path.dirname(__file__), "help.txt")  # noqa: PTH118, PTH120 - pathlib costs milliseconds


def main() -> int:
    """Run the command line in ``sys.argv``; answers the exit code.

    0 is success, 2 is a mistake in the input (options, configuration, a function that cannot be run), 1 is any other
    failure, and 130 an interruption before there was anything to stop.
    """
    arguments = sys.argv[1:]
    if COMPLETION_VARIABLE not in os.environ:
        if arguments in ([], ["--help"], ["-h"]):
            with open(HELP_FILE, encoding="utf-8") as file:
                return _print(file.read())
        if arguments == ["--version"]:
            from pulsar_runtimes._version import __version__

            return _print(f"pfrun {__version__}\n")
    try:
        from .group import run

        return run(arguments)
    except KeyboardInterrupt:
        return 130


def _print(text: str) -> int:
    if sys.stdout is None:  # pfrun --help >&-
        return 1
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        return give_up_writing(error)
    return 0


def give_up_writing(error: OSError) -> int:
    """The exit code when standard output takes no more, told unless whoever read it has read enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains when it flushes
    if not isinstance(error, BrokenPipeError):
        print(f"pfrun: standard output cannot be written: {error.strerror}", file=sys.stderr)
    return 1
