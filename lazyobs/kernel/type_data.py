# SPDX-License-Identifier: MIT
"""The type data of a kernel that does not run: a file of BTF, or a vmlinux with a section ``.BTF``.

A vmlinux that was not stripped has a symbol table, too. Neither is trusted: sizes and offsets are compared with those
of the file before anything is read.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lazyobs.kernel.btf import Btf, BtfError
from lazyobs.unix.small_file import Unusable

#: BTF of a distribution's kernel takes 4 to 8 MB, its symbol table 10; kallsyms with many modules 15.
MOST_BYTES = 128 << 20
_BTF_MAGIC = b"\x9f\xeb"
_BTF_OF_ANOTHER_BYTE_ORDER = b"\xeb\x9f"
_MOST_SECTIONS = 4096
_FILE_HEADER = struct.Struct("<4sBB10xHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_TYPES_OF_CODE = (0, 2, 10)  # STT_NOTYPE (assembly), STT_FUNC, STT_GNU_IFUNC
_GLOBAL = 1
# The first bytes of what people may take for a vmlinux: {what they are: what to do}.
_PACKED = {
    b"\x1f\x8b": "gunzip",
    b"\xfd7zXZ": "unxz",
    b"(\xb5/\xfd": "unzstd",
    b"BZh": "bunzip2",
    b"MZ": "scripts/extract-vmlinux of the kernel's source",
}


@dataclass(frozen=True)
class TypeData:
    """``btf``: the bytes; ``symbols``: lines as in /proc/kallsyms, b"" where the file has no symbol table."""

    btf: bytes
    symbols: bytes = b""


def read(path: Path) -> TypeData:
    """Reads the file. Unusable where it is neither, or too large."""
    with _opened(path) as file:
        return file.type_data()


def read_whole(path: Path) -> bytes:
    """A regular file of at most MOST_BYTES: a symbol table, a patch. Unusable otherwise."""
    with _opened(path) as file:
        return file.whole()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_File]:
    fd = -1
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        yield _File(fd)
    except OSError as error:
        raise Unusable(f"cannot be read ({error.strerror})") from None
    except ValueError:  # of the name
        raise Unusable("cannot be read (its name holds a null character)") from None
    finally:
        if fd >= 0:
            os.close(fd)


def symbols_of_types(btf: Btf) -> bytes:
    """Functions that the type data has, as lines of kallsyms with invented addresses: what there is where no symbol
    table is at hand. pahole describes the functions that the compiler left in the symbol table, and no others."""
    names = dict.fromkeys(btf.functions())
    return b"".join(b"%x t %s\n" % (0x1000 + 16 * at, name.encode()) for at, name in enumerate(names, 1))


class _File:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Unusable("is no regular file")

    def type_data(self) -> TypeData:
        head = os.pread(self._fd, _FILE_HEADER.size, 0)
        if head[:2] == _BTF_MAGIC:
            return TypeData(self.whole())
        if head[:4] == b"\x7fELF":
            return self._of_elf(head)
        if head[:2] == _BTF_OF_ANOTHER_BYTE_ORDER:
            raise Unusable("is BTF of a big-endian kernel, which lazyobs does not support")
        for begin, program in _PACKED.items():
            if head.startswith(begin):
                raise Unusable(f"is packed: unpack it with {program}, and give the vmlinux that comes out")
        raise Unusable("is neither BTF nor a vmlinux (ELF)")

    def whole(self) -> bytes:
        # Files of /proc and /sys may not know their size.
        parts, size = [], 0
        while part := os.pread(self._fd, 1 << 20, size):
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                raise Unusable(f"has more than {MOST_BYTES >> 20} MiB")
        return b"".join(parts)

    def _part(self, offset: int, size: int, what: str) -> bytes:
        if size > MOST_BYTES:
            raise Unusable(f"{what} has more than {MOST_BYTES >> 20} MiB")
        if offset >= 1 << 62:
            raise Unusable(f"{what} is cut off")
        data = os.pread(self._fd, size, offset)
        if len(data) < size:
            raise Unusable(f"{what} is cut off")
        return data

    def _of_elf(self, head: bytes) -> TypeData:
        if len(head) < _FILE_HEADER.size or head[4:6] != b"\x02\x01":
            raise Unusable("is no ELF file of a 64-bit little-endian kernel")
        *_, offset, _flags, _size, _ph_size, _ph_count, size, count, names_at = _FILE_HEADER.unpack(head)
        if size != _SECTION.size or not 0 < count <= _MOST_SECTIONS or names_at >= count:
            raise Unusable("is an ELF file without sections")
        table = self._part(offset, size * count, "its table of sections")
        sections = list(_SECTION.iter_unpack(table))
        names = self._of(sections[names_at], "its table of section names")
        found = {_text(names, section[0]): section for section in sections}
        if b".BTF" not in found:
            raise Unusable("has no section .BTF: the kernel was built without CONFIG_DEBUG_INFO_BTF")
        data = self._of(found[b".BTF"], "its section .BTF")
        symtab = found.get(b".symtab")
        if symtab is None or symtab[6] >= count:
            return TypeData(data)
        strings = self._of(sections[symtab[6]], "its table of symbol names")
        return TypeData(data, b"".join(_lines(self._of(symtab, "its symbol table"), strings)))

    def _of(self, section: tuple[int, ...], what: str) -> bytes:
        return self._part(section[4], section[5], what)


def _text(strings: bytes, offset: int) -> bytes:
    end = strings.find(b"\0", offset)
    return strings[offset:end] if end >= 0 else b""


def _lines(symtab: bytes, strings: bytes) -> Iterator[bytes]:
    """The functions, by address, as kallsyms has them."""
    whole = len(symtab) - len(symtab) % _SYMBOL.size
    code = (
        (value, info >> 4, _text(strings, name))
        for name, info, _other, section, value, _size in _SYMBOL.iter_unpack(symtab[:whole])
        if value and section and info & 15 in _TYPES_OF_CODE
    )
    for value, binding, name in sorted(code):
        if name and b"\n" not in name and b" " not in name:
            yield b"%016x %s %s\n" % (value, b"T" if binding == _GLOBAL else b"t", name)


def types_of(data: bytes, names: list[str]) -> Btf:
    """The types of ``data``. Unusable where they are damaged."""
    try:
        return Btf(data, names)
    except BtfError as error:
        raise Unusable(f"is damaged: {error}") from None
