# SPDX-License-Identifier: MIT
"""The stub headers: types as the kernel has them, and exactly the files that BCC asks for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lazyobs.bpf.headers import stub_headers, write_stub_headers
from tests.bpf.bcc_python import bcc_python
from tests.harness import need_programs

SIZES = {
    "u8": 1, "s8": 1, "u16": 2, "s16": 2, "u32": 4, "s32": 4, "u64": 8, "s64": 8, "__be16": 2, "__be32": 4, "__be64": 8,
    "__le16": 2, "__le32": 4, "__le64": 8, "__sum16": 2, "__wsum": 4, "bool": 1, "size_t": 8, "uintptr_t": 8, "pid_t": 4,
}  # fmt: skip
SIGNED = ("s8", "s16", "s32", "s64", "pid_t")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_stub_headers(str(tmp_path))
    return tmp_path


def test_they_are_laid_out_as_listed(folder: Path) -> None:
    files = {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}
    assert files == stub_headers()
    write_stub_headers(str(folder))  # over what is there


def test_types_have_the_kernels_sizes(folder: Path) -> None:
    need_programs("gcc")
    lines = ["#include <linux/types.h>", "#include <linux/types.h>"]
    lines += [f"_Static_assert(sizeof({name}) == {size}, #{name!r});" for name, size in SIZES.items()]
    lines += [
        f"_Static_assert(sizeof(__{n}) == sizeof({n}), {n!r});" for n in SIZES if n[0] in "us" and n[1:].isdigit()
    ]
    lines += [f"_Static_assert((({name})-1 < 0) == {int(name in SIGNED)}, {name!r});" for name in SIZES]
    lines += ["struct aligned { char byte; __aligned_u64 word; };"]
    lines += ['_Static_assert(__builtin_offsetof(struct aligned, word) == 8, "aligned");']
    lines += ['_Static_assert(true == 1 && false == 0, "bool");']
    text = "\n".join(lines).replace("'", '"').replace('#"', '"') + "\n"
    command = ["gcc", "-nostdinc", "-fsyntax-only", "-Wall", "-Werror", "-I", str(folder / "include"), "-x", "c", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_computed(folder: Path) -> None:
    need_programs("gcc")
    text = "#include <linux/version.h>\n#include <asm/page.h>\nint made[] = {KERNEL_VERSION(5, 15, 0), LINUX_VERSION_CODE, PAGE_SIZE};\n"
    command = ["gcc", "-nostdinc", "-E", "-P", "-I", str(folder / "include"), "-x", "c", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    numbers = done.stdout.split("{")[1].split("}")[0].split(", ")
    version = 5 << 16 | 15 << 8
    assert [eval(number) for number in numbers] == [version, version, os.sysconf("SC_PAGE_SIZE")]


_WHICH_ARE_NEEDED = """
import bcc, os, sys, tempfile
from lazyobs.bpf.headers import stub_headers, write_stub_headers

def compiles(without):
    with tempfile.TemporaryDirectory() as folder:
        write_stub_headers(folder)
        if without:
            os.unlink(os.path.join(folder, without))
        os.environ["BCC_KERNEL_SOURCE"] = folder
        try:
            bcc.BPF(text="BPF_ARRAY(counts, u64, 1);\\nint program(void *ctx) { return 0; }")
        except Exception:
            return False
        return True

print(sorted(name for name in ("", *stub_headers()) if not compiles(name)))
"""


def test_bcc_asks_for_each_and_for_no_other(bpf: None) -> None:
    """Its preamble compiles with them, and not without any one of them."""
    done = bcc_python(_WHICH_ARE_NEEDED)
    assert str(sorted(stub_headers())) in done.stdout.splitlines(), done.stdout + done.stderr  # BCC prints too
    assert done.returncode == 0
