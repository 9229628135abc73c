# SPDX-License-Identifier: MIT
"""Type data of a kernel that a test makes up (Documentation/bpf/btf.rst has the format)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from lazyobs.kernel import btf


class Types:
    """Each method adds a type and returns its id; 0 is void."""

    def __init__(self) -> None:
        self._types: list[bytes] = []
        self._strings = bytearray(b"\0")

    def integer(self, name: str, size: int = 4) -> int:
        return self._add(name, btf.KIND_INT, 0, size, struct.pack("<I", size * 8))

    def pointer(self, to: int = 0) -> int:
        return self._add("", btf.KIND_PTR, 0, to)

    def typedef(self, name: str, to: int) -> int:
        return self._add(name, btf.KIND_TYPEDEF, 0, to)

    def enum(self, name: str, values: Mapping[str, int]) -> int:
        tail = b"".join(struct.pack("<Ii", self._string(label), value) for label, value in values.items())
        return self._add(name, btf.KIND_ENUM, len(values), 4, tail)

    def struct(self, name: str, size: int, members: Sequence[tuple[str, int, int]] = ()) -> int:
        """``members``: (name, type, offset in bytes)."""
        tail = b"".join(struct.pack("<III", self._string(label), kind, offset * 8) for label, kind, offset in members)
        return self._add(name, btf.KIND_STRUCT, len(members), size, tail)

    def function(self, name: str, parameters: Sequence[tuple[str, int]] = (), returns: int = 0) -> int:
        """``parameters``: (name, type)."""
        tail = b"".join(struct.pack("<II", self._string(label), kind) for label, kind in parameters)
        prototype = self._add("", btf.KIND_FUNC_PROTO, len(parameters), returns, tail)
        return self._add(name, btf.KIND_FUNC, 0, prototype)

    def to_bytes(self) -> bytes:
        types = b"".join(self._types)
        header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(self._strings))
        return header + types + bytes(self._strings)

    def btf(self, *names: str) -> btf.Btf:
        """What is read of it, for these names."""
        return btf.Btf(self.to_bytes(), names)

    def _add(self, name: str, kind: int, entries: int, size: int, tail: bytes = b"") -> int:
        head = struct.pack("<III", self._string(name), kind << 24 | entries, size)
        self._types.append(head + tail)
        return len(self._types)

    def _string(self, text: str) -> int:
        if not text:
            return 0
        at = len(self._strings)
        self._strings += text.encode() + b"\0"
        return at
