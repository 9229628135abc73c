# SPDX-License-Identifier: MIT
"""fentry, fexit, kprobe and kretprobe programs around the bodies in probes/, generated for this kernel.

A body is written once for all tiers. Here it gets the arguments its function has on this kernel (BTF
says which, and where), and nothing for those it does not have: a program that asks fentry for an
argument that is not there is refused, one that reads it from registers at a kprobe gets junk.
"""

from __future__ import annotations

from dataclasses import dataclass

from lazyobs.bpf.points import FEXIT, FUNCTION_TIERS, KPROBE, KRETPROBE, Call
from lazyobs.kernel.btf import Function

# The general registers of arguments and result: struct pt_regs, by architecture's calling convention.
REGISTERS = """
#if HAVE_pt_regs_di
#define REGISTER_ARGUMENT(ctx, n) ((n) == 0 ? (ctx)->di : (n) == 1 ? (ctx)->si : (ctx)->dx)
#define REGISTER_RESULT(ctx) ((ctx)->ax)
#elif HAVE_pt_regs_regs
#define REGISTER_ARGUMENT(ctx, n) ((ctx)->regs[n])
#define REGISTER_RESULT(ctx) ((ctx)->regs[0])
#endif
"""


@dataclass(frozen=True)
class Wrapper:
    """A program: its C name, its text, and how it attaches."""

    program: str
    text: str
    kind: str


def wrappers(call: Call, function: Function, tier: str) -> list[Wrapper]:
    """Programs of one tier around ``call``'s bodies, for a function of this prototype."""
    at_entry, at_exit = FUNCTION_TIERS[tier]
    found = [_enter(call, function, at_entry)] if call.enters else []
    if call.exits:
        found.append(_exit(call, function, at_exit))
    return found


def _positions(call: Call, function: Function) -> list[int | None]:
    return [function.index(*names) for names in call.arguments]


def _enter(call: Call, function: Function, kind: str) -> Wrapper:
    positions = _positions(call, function)
    taken = ["ctx"] if call.context else []
    arguments = ", ".join(taken + ["0" if at is None else _argument(kind, at) for at in positions])
    # The same body can surround functions of different shape.
    suffix = "_".join("x" if at is None else str(at) for at in positions)
    program = f"{kind}_{call.body}{'_' + suffix if suffix else ''}"
    return Wrapper(program, _program(program, kind, f"{call.body}_enter({arguments})"), kind)


def _exit(call: Call, function: Function, kind: str) -> Wrapper:
    if not function.returns:
        result = "0"
    elif kind == FEXIT:
        result = f"ctx[{len(function.parameters)}]"
    else:
        result = "REGISTER_RESULT(ctx)"
    program = f"{kind}_{call.body}_{len(function.parameters) if function.returns else 'void'}"
    return Wrapper(program, _program(program, kind, f"{call.body}_exit({result})"), kind)


def _argument(kind: str, at: int) -> str:
    return f"REGISTER_ARGUMENT(ctx, {at})" if kind == KPROBE else f"ctx[{at}]"


def _program(name: str, kind: str, body: str) -> str:
    context = "struct pt_regs *ctx" if kind in (KPROBE, KRETPROBE) else "u64 *ctx"
    return f"int {name}({context})\n{{\n\treturn {body};\n}}\n"
