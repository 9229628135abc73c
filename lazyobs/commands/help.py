# SPDX-License-Identifier: MIT
"""``lazyobs help``"""

from __future__ import annotations

import click

from lazyobs.commands import completions, usage


def _names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from lazyobs.commands import pages

    group = context.parent.command if context.parent is not None else None
    commands = group.list_commands(context) if isinstance(group, click.Group) else []
    return completions.beginning(dict.fromkeys([*commands, *pages.topics()]), incomplete)


@click.command()
@click.argument("topic", required=False, metavar="[COMMAND|TOPIC]", shell_complete=_names)
def help(topic: str | None) -> None:
    """Print the help of COMMAND, as COMMAND --help does, or what is said on TOPIC; alone, the list of both."""
    context = click.get_current_context().parent
    assert context is not None and isinstance(context.command, click.Group)
    commands = context.command.list_commands(context)
    if topic in commands:
        _, found, _ = context.command.resolve_command(context, [topic])
        assert found is not None
        click.echo(click.Context(found, info_name=topic, parent=context).get_help())
        return
    from lazyobs.commands import pages

    topics = {name: about for name, about in pages.topics().items() if name not in commands}
    if topic is None:
        formatter = context.make_formatter()
        with formatter.section("Topics"):
            formatter.write_dl(list(topics.items()))
        click.echo(f"{context.get_help()}\n\n{formatter.getvalue()}", nl=False)
    elif topic in topics:
        click.echo(pages.topic(topic), nl=False)
    else:
        raise click.UsageError(usage.no_command(topic, [*commands, *topics], "command or topic"), context)
