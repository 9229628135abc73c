# SPDX-License-Identifier: MIT
"""Programs around the bodies in probes/, for functions of one prototype or another."""

from __future__ import annotations

import pytest

from lazyobs.bpf.points import CALLBACKS, FUNCTION_TIERS, POINTS, Call
from lazyobs.bpf.wrappers import REGISTERS, wrappers
from lazyobs.kernel.btf import Function
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


def made(call: Call, of: Function, tier: str) -> list[tuple[str, str, str]]:
    return [(wrapper.kind, wrapper.program, wrapper.text) for wrapper in wrappers(call, of, tier)]


MODERN = function(("folio", "folio"), ("rwc", "rmap_walk_control"), ("locked", ""), returns=False)


def test_fentry_takes_arguments_from_its_context() -> None:
    assert made(WALK, MODERN, "fentry") == [
        ("fentry", "fentry_rmap_walk_0_1",
         "int fentry_rmap_walk_0_1(u64 *ctx)\n{\n\treturn rmap_walk_enter(ctx[0], ctx[1]);\n}\n"),
        ("fexit", "fexit_rmap_walk_void", "int fexit_rmap_walk_void(u64 *ctx)\n{\n\treturn rmap_walk_exit(0);\n}\n"),
    ]  # fmt: skip


def test_a_kprobe_takes_them_from_registers() -> None:
    assert made(WALK, function(("page", "page"), ("rwc", "rmap_walk_control")), "kprobe") == [
        ("kprobe", "kprobe_rmap_walk_0_1",
         "int kprobe_rmap_walk_0_1(struct pt_regs *ctx)\n{\n"
         "\treturn rmap_walk_enter(REGISTER_ARGUMENT(ctx, 0), REGISTER_ARGUMENT(ctx, 1));\n}\n"),
        ("kretprobe", "kretprobe_rmap_walk_2",
         "int kretprobe_rmap_walk_2(struct pt_regs *ctx)\n{\n\treturn rmap_walk_exit(REGISTER_RESULT(ctx));\n}\n"),
    ]  # fmt: skip


def test_the_result_follows_the_arguments_in_fexits_context() -> None:
    (enter, leave) = made(WALK, function(("f", "folio"), ("r", "rmap_walk_control"), ("locked", "")), "fentry")
    assert enter[1] == "fentry_rmap_walk_0_1"
    assert leave[1:] == (
        "fexit_rmap_walk_3",
        "int fexit_rmap_walk_3(u64 *ctx)\n{\n\treturn rmap_walk_exit(ctx[3]);\n}\n",
    )


@pytest.mark.parametrize(
    ("parameters", "arguments", "suffix"),
    [
        ([("rwc", "rmap_walk_control"), ("folio", "folio")], "ctx[1], ctx[0]", "1_0"),
        ([("rwc", "rmap_walk_control")], "0, ctx[0]", "x_0"),
        ([("page", "")], "ctx[0], 0", "0_x"),  # by its name, whatever its type
        ([("other", "other"), ("folio", "folio"), ("page", "page")], "ctx[1], 0", "1_x"),  # the first that fits
        ([], "0, 0", "x_x"),
    ],
)
def test_what_a_kernel_does_not_pass_is_0(parameters: list[tuple[str, str]], arguments: str, suffix: str) -> None:
    enter = made(WALK, function(*parameters), "fentry")[0]
    name = f"fentry_rmap_walk_{suffix}"
    assert enter == ("fentry", name, f"int {name}(u64 *ctx)\n{{\n\treturn rmap_walk_enter({arguments});\n}}\n")


def test_a_body_that_asks_for_it_gets_the_context_first() -> None:
    vma_alone = function(("vma", "vm_area_struct"))
    assert "return promotion_enter(ctx, ctx[0], 0);" in made(PROMOTION, vma_alone, "fentry")[0][2]
    assert "return promotion_enter(ctx, REGISTER_ARGUMENT(ctx, 0), 0);" in made(PROMOTION, vma_alone, "kprobe")[0][2]


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
    assert made(Call("body", ("probed",)), probed, tier)[0][1] == f"{at_entry}_body"  # no arguments, no suffix


def test_programs_of_one_name_have_one_text() -> None:
    """The plan keeps them by name: functions of the same shape share a program, those of another must not."""
    shapes = [
        function(("folio", "folio")),
        function(("page", "page")),
        function(("a", ""), ("rwc", "rmap_walk_control")),
    ]
    shapes += [MODERN, function(returns=False), function()]
    texts: dict[str, set[str]] = {}
    for call in [call for point in POINTS for call in point.calls]:
        for tier in FUNCTION_TIERS:
            for shape in shapes:
                for wrapper in wrappers(call, shape, tier):
                    texts.setdefault(wrapper.program, set()).add(wrapper.text)
    assert [name for name, found in texts.items() if len(found) != 1] == []
    assert len(texts) > 23 and len(CALLBACKS) > 11


def test_registers_are_those_of_each_convention() -> None:
    assert "#if HAVE_pt_regs_di" in REGISTERS and "(ctx)->ax" in REGISTERS  # x86-64
    assert "#elif HAVE_pt_regs_regs" in REGISTERS and "(ctx)->regs[0]" in REGISTERS  # arm64
