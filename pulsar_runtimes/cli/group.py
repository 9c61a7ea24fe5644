"""``pfrun`` itself: the commands by name, each imported when it is run, and what becomes of errors."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import click

from pulsar_runtimes._version import __version__
from pulsar_runtimes.client.errors import RequestError
from pulsar_runtimes.model.errors import AdmissionError, ConfigError, PfrunError, RegistryError

from .command_group import CommandGroup
from .main import COMPLETION_VARIABLE, give_up_writing

COMMANDS = {
    "start": "Run a worker with its functions until it is told to stop.",
    "localrun": "Run one function, with the flags of pulsar-admin.",
    "functions": "Create, change and watch the functions of a running worker.",
    "packages": "List the packages of a running worker, and remove unused ones.",
    "check": "Tell whether start would work, and start nothing.",
    "render": "Print what start would launch, and start nothing.",
    "diff": "Compare what runs on Kubernetes with what start would make.",
    "explain": "Show each setting, where it comes from and what it does.",
    "k8s": "Rights on Kubernetes, and what was left there.",
    "factories": "List the installed runtimes and brokers.",
    "completion": "Print the completion script of a shell.",
}
"""Each command with its short help, so that listing them imports none. A module of this name holds ``command``."""

HELP_WIDTH = 80
"""The width of ``help.txt``, and of every help text on a wider terminal."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
_INPUT_ERRORS = (ConfigError, AdmissionError, RegistryError, RequestError)


@click.group(
    cls=CommandGroup,
    table=COMMANDS,
    package="pulsar_runtimes.cli",
    invoke_without_command=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": HELP_WIDTH},
    epilog="pfrun COMMAND --help tells more of a command.",
)
@click.version_option(__version__, prog_name="pfrun", message="%(prog)s %(version)s")
def pfrun() -> None:
    """Run Apache Pulsar Functions as threads, as processes, on Kubernetes or on a runtime of your own.

    \b
    Without a broker of your own, pfrun brings one:
      pfrun start --conf functions_worker.yml --function-config function.yml
      pfrun localrun --py exclaim.py --classname exclaim.Exclaim --inputs in
    """


def run(arguments: Sequence[str]) -> int:
    """Run ``pfrun`` with ``arguments``; answers the exit code. Errors that are no bug are one text on stderr."""
    colours = False if os.environ.get("NO_COLOR") else None  # None: only on a terminal
    try:
        code = pfrun.main(
            list(arguments),
            prog_name="pfrun",
            complete_var=COMPLETION_VARIABLE,
            standalone_mode=False,
            color=colours,
        )
    except click.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except PfrunError as error:
        click.echo(str(error) or type(error).__name__, file=sys.stderr)
        return 2 if isinstance(error, _INPUT_ERRORS) else 1
    except OSError as error:
        if error.filename is None and error.errno in _FULL:  # what has no name here is standard output
            return give_up_writing(error)
        raise
    return code if isinstance(code, int) else 0
