# SPDX-License-Identifier: MIT
"""This kernel with every function under another name: its symbols and types rewritten, addresses and ids kept."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from pathlib import Path

from lazyobs.bpf import kfuncs, plan
from lazyobs.kernel import btf

PREFIX = "v9_"


def kallsyms(text: bytes) -> bytes:
    """The symbols with ``PREFIX`` before each function of the kernel image."""
    return re.sub(rb"( [tTwW] )(?=[^\s]+\n)", rb"\1" + PREFIX.encode(), text)


def types(data: bytes) -> bytes:
    """The type data with ``PREFIX`` before each function's name; iterators, which are no functions to it, and what
    BPF programs call, which is an interface, keep theirs."""
    header = btf._HEADER.unpack_from(data)
    header_len, type_off, type_len, str_off, str_len = header[3:]
    start, strings_at = header_len + type_off, header_len + str_off
    assert strings_at + str_len == len(data), "the strings are not the last section"
    found, names, at = bytearray(data), bytearray(), start
    while at < start + type_len:
        name_off, info = struct.unpack_from("<II", data, at)
        kind = info >> 24 & 31
        if kind == btf.KIND_FUNC:
            name = data[strings_at + name_off : data.index(b"\0", strings_at + name_off)]
            if not name.startswith(b"bpf_iter_") and name.decode() not in kfuncs.FUNCTIONS:
                struct.pack_into("<I", found, at, str_len + len(names))
                names += PREFIX.encode() + name + b"\0"
        at += 4 * (btf._FIXED_WORDS[kind] + btf._ENTRY_WORDS[kind] * (info & 0xFFFF))
    btf._HEADER.pack_into(found, 0, *header[:7], str_len + len(names))
    return bytes(found + names)


def root(folder: Path, symbols: bytes | None = None) -> dict[str, str]:
    """Files of such a kernel below ``folder``, as the options of plan.gather. ``symbols``: instead of its own."""
    proc, sys = folder / "proc", folder / "sys"
    (proc / "sys/kernel").mkdir(parents=True)
    (sys / "kernel/btf").mkdir(parents=True)
    (proc / "sys/kernel/osrelease").write_bytes(Path("/proc/sys/kernel/osrelease").read_bytes())
    (proc / "kallsyms").write_bytes(kallsyms(Path("/proc/kallsyms").read_bytes()) if symbols is None else symbols)
    (sys / "kernel/btf/vmlinux").write_bytes(types(Path("/sys/kernel/btf/vmlinux").read_bytes()))
    return {"proc_root": str(proc), "sys_root": str(sys)}


def aliases(more: Iterable[str] = ()) -> str:
    """The table of a profile that gives every function of the probe table, and ``more``, its name there."""
    lines = (f'{name} = ["{PREFIX}{name}"]' for name in sorted({*plan.FUNCTIONS, *more}))
    return "\n".join(("[aliases]", *lines, ""))
