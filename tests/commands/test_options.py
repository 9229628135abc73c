# SPDX-License-Identifier: MIT
"""From what was typed to one dataclass."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import click
import pytest
from click.testing import CliRunner

from lazyobs.cli import COMMANDS
from lazyobs.commands.options import PROFILE, TIER, VERBOSE, ProbeOptions, all_of, collected


@dataclass(frozen=True)
class Asked:
    probes: ProbeOptions
    count: int
    left_alone: str = "default"


def run(options, *arguments: str) -> list[Asked]:
    got: list[Asked] = []

    @click.command()
    @options
    @click.option("-n", "count", type=int, default=7)
    @collected(Asked)
    def command(asked: Asked) -> None:
        got.append(asked)

    CliRunner().invoke(command, arguments, catch_exceptions=False)
    return got


def test_nested_given_and_default_values_find_their_fields() -> None:
    (asked,) = run(all_of(PROFILE, TIER, VERBOSE), "--tier", "procfs", "-n", "23")
    assert asked == Asked(ProbeOptions(None, "procfs", False), 23)
    assert run(all_of(PROFILE, TIER, VERBOSE))[0].count == 7


def test_a_parameter_without_a_field_is_an_error() -> None:
    with pytest.raises(TypeError, match="no field for stray"):
        run(all_of(PROFILE, TIER, VERBOSE, click.option("--stray")))


def test_a_field_without_a_parameter_is_an_error() -> None:
    with pytest.raises(TypeError, match="verbose"):
        run(all_of(PROFILE, TIER))


@pytest.mark.parametrize("name", COMMANDS)
def test_shared_options_are_the_same_everywhere(name: str) -> None:
    """-v, --profile and --tier mean one thing, whichever command has them."""
    shared = {one.name: one for one in click.Command("shared", params=_params()).params}
    command = getattr(importlib.import_module(f"lazyobs.commands.{name}"), name)
    for parameter in command.params:
        if parameter.name in shared:
            assert parameter.to_info_dict() == shared[parameter.name].to_info_dict(), parameter.name


def _params() -> list[click.Parameter]:
    @click.command()
    @all_of(PROFILE, TIER, VERBOSE)
    def command() -> None:
        pass

    return command.params
