# SPDX-License-Identifier: MIT
"""Programs around the bodies in probes/, for functions of one prototype or another."""

from __future__ import annotations

import pytest

from lazyobs.bpf import structs
from lazyobs.bpf.points import FUNCTION_TIERS, POINTS, Call
from lazyobs.bpf.wrappers import c_programs, wrappers
from lazyobs.kernel.btf import Btf, Function
from tests.kernel.made_btf import Types

WALK = Call("rmap_walk", ("rmap_walk_anon",), (("folio", "page"), ("rmap_walk_control",)))
PROMOTION = Call("promotion", ("vma_upgrade_anon_vma_lazy",), (("vm_area_struct",), ("reason",)), context=True)


def function(*parameters: tuple[str, str], returns: bool = True) -> Function:
    """``parameters``: (name, name of the struct it points to, or "" for an int)."""
    types = Types()
    integer = types.integer("int")
    made = [(name, types.pointer(types.struct(kind, 8)) if kind else integer) for name, kind in parameters]
    types.function("probed", made, integer if returns else 0)
    found = types.btf("probed").function("probed")
    assert found is not None
    return found


X86 = ([112, 104, 96, 88, 72, 64], 80)


def made(call: Call, of: Function, tier: str) -> list[tuple[str, str, dict[str, int | None]]]:
    return [(one.kind, one.code, dict(one.values)) for one in wrappers(call, of, tier, X86)]


MODERN = function(("folio", "folio"), ("rwc", "rmap_walk_control"), ("locked", ""), returns=False)


def test_fentry_takes_arguments_from_its_context() -> None:
    assert made(WALK, MODERN, "fentry") == [
        ("fentry", "enters_rmap_walk", {"argument.0": 0, "argument.1": 8}),
        ("fexit", "exits_rmap_walk", {"result": None}),
    ]


def test_a_kprobe_takes_them_from_registers() -> None:
    assert made(WALK, function(("page", "page"), ("rwc", "rmap_walk_control")), "kprobe") == [
        ("kprobe", "enters_rmap_walk", {"argument.0": 112, "argument.1": 104}),
        ("kretprobe", "exits_rmap_walk", {"result": 80}),
    ]


def test_the_result_follows_the_arguments_in_fexits_context() -> None:
    (_, leave) = made(WALK, function(("f", "folio"), ("r", "rmap_walk_control"), ("locked", "")), "fentry")
    assert leave == ("fexit", "exits_rmap_walk", {"result": 24})


@pytest.mark.parametrize(
    ("parameters", "arguments"),
    [
        ([("rwc", "rmap_walk_control"), ("folio", "folio")], (8, 0)),
        ([("rwc", "rmap_walk_control")], (None, 0)),
        ([("page", "")], (0, None)),  # by its name, whatever its type
        ([("other", "other"), ("folio", "folio"), ("page", "page")], (8, None)),  # the first that fits
        ([], (None, None)),
    ],
)
def test_what_a_kernel_does_not_pass_is_not_there(
    parameters: list[tuple[str, str]], arguments: tuple[int, int]
) -> None:
    enter = made(WALK, function(*parameters), "fentry")[0]
    assert tuple(enter[2].values()) == arguments


def test_a_body_that_asks_for_it_gets_the_context_first() -> None:
    text = c_programs(POINTS)
    assert "promotion_enter(ctx, LOAD_AT(ctx, NUMBER_ARGUMENT_0), LOAD_AT(ctx, NUMBER_ARGUMENT_1));" in text
    assert "return rmap_walk_exit(LOAD_AT(ctx, NUMBER_RESULT));" in text


@pytest.mark.parametrize("tier", FUNCTION_TIERS)
def test_only_the_programs_that_are_asked_for(tier: str) -> None:
    at_entry, at_exit = FUNCTION_TIERS[tier]
    probed = function(("folio", "folio"))
    kinds = {
        (True, True): [at_entry, at_exit],
        (True, False): [at_entry],
        (False, True): [at_exit],
        (False, False): [],
    }
    for (enters, exits), expected in kinds.items():
        call = Call("body", ("probed",), enters=enters, exits=exits)
        assert [kind for kind, _, _ in made(call, probed, tier)] == expected


def test_each_program_is_there_once_and_none_is_missing() -> None:
    text = c_programs(POINTS)
    for call in [call for point in POINTS for call in point.calls]:
        for tier in FUNCTION_TIERS:
            for wrapper in wrappers(call, MODERN, tier, X86):
                assert text.count(f"int {wrapper.code}(u64 *ctx)") == 1


def registers_of(*members: tuple[str, int]) -> Btf:
    types = Types()
    word = types.integer("unsigned long", 8)
    types.struct("pt_regs", 336, [(name, word, at) for name, at in members])
    return types.btf("pt_regs")


def test_registers_are_those_of_each_convention() -> None:
    x86 = zip(("di", "si", "dx", "cx", "r8", "r9", "ax"), (*X86[0], X86[1]))
    assert structs.registers(registers_of(*x86)) == X86
    assert structs.registers(registers_of(("regs", 0))) == ([0, 8, 16, 24, 32, 40, 48, 56], 0)
    assert structs.registers(registers_of(("a0", 0))) is None
