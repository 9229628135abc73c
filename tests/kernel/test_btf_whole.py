# SPDX-License-Identifier: MIT
"""All structs and prototypes of this kernel, beside bpftool."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from lazyobs.kernel.btf import BtfError
from lazyobs.kernel.btf_whole import WholeBtf
from tests.harness import need_programs, skip
from tests.kernel.made_btf import Types

VMLINUX = "/sys/kernel/btf/vmlinux"


def test_every_struct_is_that_of_bpftool() -> None:
    if not os.path.exists(VMLINUX):
        skip("bpf", "the kernel has no BTF")
    need_programs("bpftool")
    command = ["bpftool", "-j", "btf", "dump", "file", VMLINUX, "format", "raw"]
    dump = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["types"]
    whole = WholeBtf(Path(VMLINUX).read_bytes())
    theirs: dict[str, tuple[int, list[tuple[str, int]]]] = {}
    for one in dump:
        if one["kind"] == "STRUCT" and one["name"] != "(anon)" and one["name"] not in theirs:
            fields = [
                ("" if field["name"] == "(anon)" else field["name"], field["bits_offset"] // 8)
                for field in one["members"]
            ]
            theirs[one["name"]] = one["size"], fields
    ours = {
        name: (one.size, [(field.name, field.offset) for field in one.fields]) for name, one in whole.structs().items()
    }
    assert len(ours) > 1009 and ours == theirs
    functions = {one["name"] for one in dump if one["kind"] == "FUNC"}
    assert whole.prototypes().keys() == functions


def test_words_of_types() -> None:
    made = Types()
    number = made.integer("unsigned int")
    folio = made.struct("folio", 64)
    vma = made.pointer(made.struct("vm_area_struct", 192))
    made.function("walk", [("folio", made.pointer(folio)), ("flags", number), ("where", made.pointer(vma))], vma)
    made.function("none")
    assert WholeBtf(made.to_bytes()).prototypes() == {
        "walk": "struct vm_area_struct *walk(struct folio *folio, unsigned int flags, struct vm_area_struct **where)",
        "none": "void none(void)",
    }


def test_holes() -> None:
    made = Types()
    one, eight = made.integer("char", 1), made.integer("long", 8)
    made.struct("holed", 32, [("a", one, 0), ("b", eight, 8), ("c", one, 16)])
    assert WholeBtf(made.to_bytes()).structs()["holed"].holes == 7 + 15


def test_damaged_data_is_refused() -> None:
    with pytest.raises(BtfError):
        WholeBtf(b"\x9f\xeb\x01\x00" + bytes(12))
