"""``pfrun completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from .group import pfrun
from .main import COMPLETION_VARIABLE


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that makes SHELL complete pfrun's commands and options.

    \b
    bash: eval "$(pfrun completion bash)"              in ~/.bashrc
    zsh:  eval "$(pfrun completion zsh)"               in ~/.zshrc
    fish: pfrun completion fish > ~/.config/fish/completions/pfrun.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(pfrun, {}, "pfrun", COMPLETION_VARIABLE).source())
