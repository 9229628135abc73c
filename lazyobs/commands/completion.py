# SPDX-License-Identifier: MIT
"""``lazyobs completion``: the script that makes a shell ask lazyobs for completions (click's own machinery)."""

from __future__ import annotations

import click

from lazyobs.commands import completions

_WHERE = {
    "bash": '/usr/share/bash-completion/completions/lazyobs, or in ~/.bashrc: eval "$(lazyobs completion bash)"',
    "zsh": 'a folder of $fpath as _lazyobs, or in ~/.zshrc: eval "$(lazyobs completion zsh)"',
    "fish": "~/.config/fish/completions/lazyobs.fish",
}


@click.command(epilog="Where it goes: " + "; ".join(f"{shell}: {where}" for shell, where in _WHERE.items()) + ".")
@click.argument("shell", type=click.Choice(list(_WHERE)), metavar="SHELL")
def completion(shell: str) -> None:
    """Print the script that completes commands, options, columns and processes in SHELL: bash, zsh or fish."""
    click.echo(completions.script(shell, click.get_current_context().find_root().command))
