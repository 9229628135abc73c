# SPDX-License-Identifier: MIT
"""A kernel's types from files: raw BTF, a vmlinux with and without symbols, and what is neither."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from lazyobs.kernel import type_data
from lazyobs.kernel.btf import Btf
from lazyobs.kernel.kallsyms import Kallsyms
from lazyobs.unix.small_file import Unusable
from tests.kernel.made_btf import Types


def vmlinux(sections: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """An ELF file with these sections. ``links``: {section: the one that its sh_link names}."""
    names = ["", *sections, ".shstrtab"]
    strings = b"".join(name.encode() + b"\0" for name in names)
    contents = {**sections, ".shstrtab": strings}
    headers, body, at = [bytes(64)], b"", 64
    for name, data in contents.items():
        link = names.index((links or {}).get(name, ""))
        headers.append(
            type_data._SECTION.pack(strings.index(name.encode() + b"\0"), 1, 0, 0, at, len(data), link, 0, 1, 0)
        )
        body, at = body + data, at + len(data)
    head = type_data._FILE_HEADER.pack(
        b"\x7fELF", 2, 1, 2, 62, 1, 0, 0, at, 0, 64, 56, 0, 64, len(headers), len(headers) - 1
    )
    return head + body + b"".join(headers)


def symbol(name: int, kind: int, address: int) -> bytes:
    return type_data._SYMBOL.pack(name, 1 << 4 | kind, 0, 1, address, 16)


def btf() -> bytes:
    made = Types()
    made.function("anon_vma_clone", (("dst", made.pointer()),), made.integer("int"))
    made.function("anon_vma_fork")
    return made.to_bytes()


def written(folder: Path, data: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(data)
    return path


def test_raw_types_are_read_as_they_are(tmp_path: Path) -> None:
    assert type_data.read(written(tmp_path, btf())) == type_data.TypeData(btf())


def test_a_vmlinux_gives_its_types_and_the_functions_of_its_symbol_table(tmp_path: Path) -> None:
    strings = b"\0anon_vma_fork\0a_variable\0anon_vma_clone\0"
    symtab = bytes(24) + symbol(1, 2, 0x2000) + symbol(15, 1, 0x3000) + symbol(26, 2, 0x1000)
    data = vmlinux({".BTF": btf(), ".symtab": symtab, ".strtab": strings}, {".symtab": ".strtab"})
    found = type_data.read(written(tmp_path, data))
    assert found.btf == btf()
    assert found.symbols == b"0000000000001000 T anon_vma_clone\n0000000000002000 T anon_vma_fork\n"


def test_without_symbols_the_functions_are_those_of_the_types() -> None:
    text = type_data.symbols_of_types(Btf(btf(), ["anon_vma_fork"]))
    table = Kallsyms(text, ["anon_vma_fork", "anon_vma_clone", "another"])
    assert [len(table.plain(name)) for name in ("anon_vma_fork", "anon_vma_clone", "another")] == [1, 1, 0]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "neither BTF nor a vmlinux"),
        (b"\xeb\x9f\1\0", "big-endian"),
        (b"\x1f\x8b" + bytes(60), "gunzip"),
        (b"MZ" + bytes(900), "extract-vmlinux"),
        (b"\x7fELF", "no ELF file of a 64-bit"),
        (b"\x7fELF\2\1" + bytes(90), "without sections"),
        (vmlinux({".text": b"x"}), "no section .BTF"),
        (vmlinux({".BTF": btf()})[:-70], "table of sections is cut off"),
        (vmlinux({".BTF": btf()}).replace(struct.pack("<Q", len(btf())), struct.pack("<Q", 1 << 50)), "more than 128 MiB"),
        (vmlinux({".BTF": btf()}).replace(struct.pack("<Q", len(btf())), struct.pack("<Q", 1 << 20)), "is cut off"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_the_reason(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(Unusable, match=said):
        type_data.read(written(tmp_path, data))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in (
        (tmp_path / "pipe", "no regular file"),
        (tmp_path, "no regular file"),
        (tmp_path / "none", "No such file"),
        (tmp_path / "a\0b", "null character"),
    ):
        with pytest.raises(Unusable, match=said):
            type_data.read(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type_data, "MOST_BYTES", 1 << 20)
    with pytest.raises(Unusable, match="more than 1 MiB"):
        type_data.read(written(tmp_path, btf() + bytes(1 << 20)))
