# SPDX-License-Identifier: MIT
"""fentry, fexit, kprobe and kretprobe programs around the bodies in probes/.

A body is written once for all tiers, and so are its programs. Where a function has its arguments and its result
on this kernel is filled in when a program is loaded, from BTF; for those that it does not have the program gets 0: one
that asks fentry for an argument that is not there is refused, one that reads it from registers at a kprobe gets junk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lazyobs.bpf.blanks import Values
from lazyobs.bpf.points import FEXIT, FUNCTION_TIERS, KPROBE, Call, Point
from lazyobs.kernel.btf import Function

OFFSETS = ("argument.0", "argument.1", "result")
_ARGUMENTS = OFFSETS[:-1]
_ENTERS, _EXITS = "enters_", "exits_"
# Offsets in pt_regs of the first arguments, and of the result.
Registers = tuple[list[int], int]


@dataclass(frozen=True)
class Wrapper:
    """A program for one function: its C name, how it attaches, and the offsets in its context."""

    code: str
    kind: str
    values: Values


def wrappers(call: Call, function: Function, tier: str, registers: Registers | None) -> list[Wrapper]:
    """Programs of one tier around ``call``'s bodies, for a function of this prototype."""
    at_entry, at_exit = FUNCTION_TIERS[tier]
    found = [Wrapper(_ENTERS + call.body, at_entry, _arguments(call, function, at_entry, registers))]
    found.append(Wrapper(_EXITS + call.body, at_exit, {"result": _result(function, at_exit, registers)}))
    return found[0 if call.enters else 1 : 2 if call.exits else 1]


def _arguments(call: Call, function: Function, kind: str, registers: Registers | None) -> Values:
    found: dict[str, int | None] = {}
    for name, wanted in zip(_ARGUMENTS, call.arguments):
        at = function.index(*wanted)
        if at is None:
            found[name] = None
        elif kind != KPROBE:
            found[name] = 8 * at
        else:
            found[name] = registers[0][at] if registers and at < len(registers[0]) else None
    return found


def _result(function: Function, kind: str, registers: Registers | None) -> int | None:
    if not function.returns:
        return None
    if kind == FEXIT:
        return 8 * len(function.parameters)
    return registers[1] if registers else None


def c_programs(points: tuple[Point, ...]) -> str:
    """Every program, as C."""
    return "".join(dict.fromkeys(text for point in points for call in point.calls for text in _programs(call)))


def _programs(call: Call) -> Iterator[str]:
    taken = ["ctx"] if call.context else []
    numbers = [f"NUMBER_{name.replace('.', '_').upper()}" for name, _ in zip(_ARGUMENTS, call.arguments)]
    if call.enters:
        arguments = ", ".join([*taken, *(f"LOAD_AT(ctx, {number})" for number in numbers)])
        yield _program(_ENTERS + call.body, f"{call.body}_enter({arguments})")
    if call.exits:
        yield _program(
            _EXITS + call.body, f"{call.body}_exit({'ctx, ' * call.context_at_exit}LOAD_AT(ctx, NUMBER_RESULT))"
        )


def _program(name: str, body: str) -> str:
    return f"int {name}(u64 *ctx)\n{{\n\treturn {body};\n}}\n"
