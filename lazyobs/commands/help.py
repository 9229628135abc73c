# SPDX-License-Identifier: MIT
"""``lazyobs help``"""

from __future__ import annotations

import click

from lazyobs.commands import completions


def _commands(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    group = context.parent.command if context.parent is not None else None
    names = group.list_commands(context) if isinstance(group, click.Group) else []
    return completions.beginning(names, incomplete)


@click.command()
@click.argument("command", required=False, shell_complete=_commands)
def help(command: str | None) -> None:
    """Print the help of COMMAND, as COMMAND --help does, or the list of commands."""
    context = click.get_current_context().parent
    assert context is not None and isinstance(context.command, click.Group)
    if command is not None:
        _, found, _ = context.command.resolve_command(context, [command])
        assert found is not None
        context = click.Context(found, info_name=command, parent=context)
    click.echo(context.get_help())
