# SPDX-License-Identifier: MIT
"""The BTF reader against bpftool on this kernel, and against bytes that are no BTF."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from lazyobs.bpf import structs
from lazyobs.kernel.btf import KIND_STRUCT, Btf, BtfError
from tests.harness import need_programs, skip
from tests.kernel.made_btf import Types

VMLINUX = "/sys/kernel/btf/vmlinux"
NAMES = [*structs.NAMES, "anon_vma_clone", "btf_trace_kmem_cache_alloc", "migrate_mode", "__anon_vma_prepare"]


@pytest.fixture(scope="module")
def vmlinux() -> str:
    if not os.path.exists(VMLINUX):
        skip("bpf", "the kernel has no BTF")
    return VMLINUX


@pytest.fixture(scope="module")
def btf(vmlinux: str) -> Btf:
    return Btf.read(NAMES)


@pytest.fixture(scope="module")
def dump(vmlinux: str) -> dict[int, dict]:
    need_programs("bpftool")
    command = ["bpftool", "-j", "btf", "dump", "file", vmlinux, "format", "raw"]
    answer = subprocess.run(command, capture_output=True, check=True)
    return {one["id"]: one for one in json.loads(answer.stdout)["types"]}


def test_structs_are_those_of_bpftool(btf, dump):
    compared = 0
    for name in structs.NAMES:
        found = btf.type_id(name, KIND_STRUCT)
        if found is None:
            continue
        assert dump[found]["name"] == name
        assert btf.struct_size(name) == dump[found]["size"]
        for member in dump[found]["members"]:
            if member["name"] != "(anon)":
                ours = btf.member(name, member["name"])
                assert ours is not None and ours.type_id == member["type_id"]
                assert ours.offset == member["bits_offset"] // 8
                compared += 1
    assert compared > 101


def test_functions_and_enums_are_those_of_bpftool(btf, dump):
    function = btf.function("anon_vma_clone")
    theirs = dump[dump[function.type_id]["type_id"]]
    assert [p.name for p in function.parameters] == [p["name"] for p in theirs["params"]]
    assert function.returns is (theirs["ret_type_id"] != 0)
    enum = next(one for one in dump.values() if one["kind"] == "ENUM" and one["name"] == "migrate_mode")
    assert btf.enumerators("migrate_mode") == {value["name"]: value["val"] for value in enum["values"]}


def test_members_inside_anonymous_parts_are_found(btf):
    assert btf.member("vm_area_struct", "vm_start").offset == 0
    assert btf.member("vm_area_struct", "no_such_member") is None
    assert btf.member("no_such_struct", "x") is None


@pytest.mark.parametrize("length", [0, 7, 23, 24, 4099])
def test_truncated_data_is_refused(vmlinux, length):
    with open(vmlinux, "rb") as file:
        data = file.read(length)
    with pytest.raises(BtfError):
        Btf(data, NAMES)


def test_foreign_data_is_refused():
    with pytest.raises(BtfError, match="magic"):
        Btf(b"\x7fELF" + bytes(100), NAMES)


def test_a_circle_of_types_is_refused():
    """Type data come from the kernel, or from a file of a lab: a loop would hang every command."""
    types = Types()
    types.typedef("loop_t", 1)
    types.typedef("a_t", 3)
    types.typedef("b_t", 2)
    types.pointer(4)
    types.struct("holds_itself", 8, [("", 5, 0), ("x", 5, 0)])
    types.typedef("beyond_t", 99)
    types.function("f", [("p", 4)], returns=1)
    made = types.btf("holds_itself", "f")
    for ask in (
        lambda: made.strip(1),
        lambda: made.strip(2),
        lambda: made.size_of(1),
        lambda: made.base_name(4),
        lambda: made.member("holds_itself", "y"),
        lambda: made.strip(6),
        lambda: made.function("f"),
    ):
        with pytest.raises(BtfError):
            ask()
