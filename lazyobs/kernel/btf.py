# SPDX-License-Identifier: MIT
"""Struct layouts, enums and function prototypes from the kernel's own type data.

The format is described in the kernel's Documentation/bpf/btf.rst. vmlinux carries well over a
hundred thousand types; one pass notes where each type starts and which of the wanted names it
defines, and nothing else is decoded until asked for.
"""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from lazyobs.kernel.any_of import any_of

KIND_VOID = 0
KIND_INT, KIND_PTR, KIND_ARRAY, KIND_STRUCT, KIND_UNION, KIND_ENUM, KIND_FWD = range(1, 8)
KIND_TYPEDEF, KIND_VOLATILE, KIND_CONST, KIND_RESTRICT, KIND_FUNC, KIND_FUNC_PROTO = range(8, 14)
KIND_VAR, KIND_DATASEC, KIND_FLOAT, KIND_DECL_TAG, KIND_TYPE_TAG, KIND_ENUM64 = range(14, 20)

_KINDS_OF_NAMES = {KIND_FUNC: "function"} | dict.fromkeys(
    (KIND_STRUCT, KIND_UNION, KIND_ENUM, KIND_ENUM64, KIND_TYPEDEF), "type"
)
_MODIFIERS = (KIND_TYPEDEF, KIND_VOLATILE, KIND_CONST, KIND_RESTRICT, KIND_TYPE_TAG)
_MOST_HOPS = 100  # through typedefs, qualifiers and nested types: the kernel has a handful
_MOST_PARTS = 200  # anonymous structs and unions of one struct: task_struct has a few dozen
_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
# Words a type takes: its three-word head and a fixed tail, and a part for each of vlen entries.
_FIXED_WORDS = [3] * 32
_ENTRY_WORDS = [0] * 32
for _kind, _words in ((KIND_INT, 1), (KIND_ARRAY, 3), (KIND_VAR, 1), (KIND_DECL_TAG, 1)):
    _FIXED_WORDS[_kind] += _words
for _kind, _words in (
    (KIND_STRUCT, 3),
    (KIND_UNION, 3),
    (KIND_ENUM, 2),
    (KIND_FUNC_PROTO, 2),
    (KIND_DATASEC, 3),
    (KIND_ENUM64, 3),
):
    _ENTRY_WORDS[_kind] = _words


class _Steps(dict[int, int]):
    """Words that a type takes, by the second word of its head: its kind and its number of entries."""

    def __missing__(self, info: int) -> int:
        kind = info >> 24 & 31
        self[info] = words = _FIXED_WORDS[kind] + _ENTRY_WORDS[kind] * (info & 0xFFFF)
        return words


class BtfError(ValueError):
    """The type data is not what the format promises."""


@dataclass(frozen=True)
class Member:
    """A struct member; ``offset`` and ``size`` are bytes, ``bits`` is the width of a bit-field or 0."""

    name: str
    offset: int
    size: int
    type_id: int
    bits: int = 0


@dataclass(frozen=True)
class Parameter:
    """A function parameter; ``type_name`` is the base type's name ("" when it has none)."""

    name: str
    type_id: int
    type_name: str
    is_pointer: bool


@dataclass(frozen=True)
class Function:
    """A function or function-type; ``returns`` is False for void."""

    name: str
    type_id: int
    parameters: tuple[Parameter, ...]
    returns: bool

    def index(self, *names: str) -> int | None:
        """Position of the first parameter with one of these names or type names, or None."""
        for position, parameter in enumerate(self.parameters):
            if parameter.name in names or parameter.type_name in names:
                return position
        return None


class Btf:
    """Type data of one kernel, indexed for a set of names chosen beforehand.

    ``data`` is the content of /sys/kernel/btf/vmlinux (or of a section ``.BTF``); ``names`` are the
    structs, enums, typedefs and functions that will be asked for. Raises BtfError on bad data.
    """

    def __init__(self, data: bytes, names: Iterable[str]) -> None:
        if len(data) < _HEADER.size:
            raise BtfError("shorter than its header")
        magic, version, _flags, header_len, type_off, type_len, str_off, str_len = _HEADER.unpack_from(data)
        if magic != 0xEB9F or version != 1:
            raise BtfError(f"magic {magic:#x} version {version}, expected 0xeb9f version 1")
        if max(header_len + type_off + type_len, header_len + str_off + str_len) > len(data):
            raise BtfError("truncated")
        self._data = data
        self._strings = data[header_len + str_off : header_len + str_off + str_len]
        self._starts, self._types_at = array("I"), 0
        self._found: dict[tuple[str, int], int] = {}
        try:
            self._index(header_len + type_off, header_len + type_off + type_len, names)
        except (IndexError, ValueError):  # a type that is cut off
            raise BtfError("its types are damaged") from None

    @classmethod
    def read(cls, names: Iterable[str], path: str = "/sys/kernel/btf/vmlinux") -> Btf:
        """Reads the running kernel's types. OSError when the kernel offers none."""
        with open(path, "rb") as file:
            return cls(file.read(), names)

    def _index(self, position: int, end: int, names: Iterable[str]) -> None:
        matches = re.finditer(rb"\0(" + any_of(names) + rb")(?=\0)", self._strings)
        wanted = {match.start(1): match[1].decode() for match in matches}
        words = array("I", self._data[position:end])
        infos, steps, starts = words[1:], _Steps(), array("I", [0])
        append = starts.append
        at, count = 0, len(words)
        while at < count:
            append(at)
            at += steps[infos[at]]
        for type_id, name in enumerate(map(words.__getitem__, starts[1:]), 1):
            if name in wanted:
                self._found.setdefault((wanted[name], infos[starts[type_id]] >> 24 & 31), type_id)
        self._starts, self._types_at = starts, position

    def _head(self, type_id: int) -> tuple[str, int, int, int, int]:
        """(name, kind, vlen, size or type, position of the tail). BtfError where there is no such type."""
        try:
            position = self._at(type_id)
            name_off, info, size = _TYPE.unpack_from(self._data, position)
            name = self._strings[name_off : self._strings.index(b"\0", name_off)].decode()
        except (IndexError, ValueError, struct.error):
            raise BtfError(f"type {type_id} is damaged") from None
        return name, (info >> 24) & 31, info & 0xFFFF, size, position + 12

    def _at(self, type_id: int) -> int:
        """Position of the type's head in the data. IndexError where there is no such type."""
        return self._types_at + 4 * self._starts[type_id]

    def _unpack(self, layout: str, position: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(layout, self._data, position)
        except struct.error:
            raise BtfError("a type is cut off") from None

    def _name(self, offset: int) -> str:
        try:
            return self._strings[offset : self._strings.index(b"\0", offset)].decode()
        except ValueError:  # behind the last string, or no text
            raise BtfError(f"there is no name at {offset}") from None

    def type_id(self, name: str, *kinds: int) -> int | None:
        """Id of the named type of one of these kinds, or None."""
        for kind in kinds:
            found = self._found.get((name, kind))
            if found is not None:
                return found
        return None

    def has_type(self, name: str) -> bool:
        """Whether the kernel has a struct, union, enum or typedef of that name."""
        return self.type_id(name, KIND_STRUCT, KIND_UNION, KIND_ENUM, KIND_ENUM64, KIND_TYPEDEF) is not None

    def names_with(self, fragments: Iterable[str]) -> set[str]:
        """Every name in the type data that contains one of these, whatever it names."""
        found = set()
        for fragment in fragments:
            at = self._strings.find(fragment.encode())
            while at >= 0:
                begin = self._strings.rfind(b"\0", 0, at) + 1
                name = self._name(begin)
                found.add(name)
                at = self._strings.find(fragment.encode(), begin + len(name.encode()))
        return found

    def functions(self) -> list[str]:
        """The names of all functions. Looks at every type of the kernel: half a second."""
        heads = (self._unpack("<II", self._at(type_id)) for type_id in range(1, len(self._starts)))
        return [self._name(name_off) for name_off, info in heads if info >> 24 & 31 == KIND_FUNC]

    def kinds_of(self, names: Container[str]) -> Iterator[tuple[str, str]]:
        """("function", "type" or "enumerator", name) for what bears one of ``names``, whether it was asked for
        beforehand or not. Looks at every type of the kernel: half a second."""
        for type_id in range(1, len(self._starts)):
            name, kind, _, _, _ = self._head(type_id)
            if name in names and kind in _KINDS_OF_NAMES:
                yield _KINDS_OF_NAMES[kind], name
            if kind in (KIND_ENUM, KIND_ENUM64):
                yield from (("enumerator", word) for word in self._enumerators_of(type_id) if word in names)

    def strip(self, type_id: int) -> int:
        """The type behind typedefs and qualifiers (0 is void). BtfError where they lead in a circle."""
        return self._behind(type_id, _MODIFIERS)

    def _behind(self, type_id: int, kinds: tuple[int, ...]) -> int:
        """The first type on the way from this one that is of no such kind."""
        target = type_id
        for _ in range(_MOST_HOPS):
            _, kind, _, following, _ = self._head(target) if target else ("", KIND_VOID, 0, 0, 0)
            if kind not in kinds:
                return target
            target = following
        raise BtfError(f"type {type_id} leads in a circle")

    def is_pointer(self, type_id: int) -> bool:
        type_id = self.strip(type_id)
        return bool(type_id) and self._head(type_id)[1] == KIND_PTR

    def base_name(self, type_id: int) -> str:
        """Name of the type behind qualifiers and pointers: "folio" for ``const struct folio *``."""
        base = self._behind(type_id, (KIND_VOLATILE, KIND_CONST, KIND_RESTRICT, KIND_TYPE_TAG, KIND_PTR))
        return self._head(base)[0] if base else "void"

    def size_of(self, type_id: int, _hops: int = 0) -> int:
        """Bytes the type takes; 0 for void."""
        type_id = self.strip(type_id)
        if not type_id:
            return 0
        if _hops > _MOST_HOPS:
            raise BtfError(f"type {type_id} holds itself")
        _, kind, _, size, tail = self._head(type_id)
        if kind == KIND_PTR:
            return 8
        if kind == KIND_ARRAY:
            element, _index, count = self._unpack("<III", tail)
            return self.size_of(element, _hops + 1) * int(count)
        if kind in (KIND_INT, KIND_STRUCT, KIND_UNION, KIND_ENUM, KIND_ENUM64, KIND_FLOAT):
            return int(size)
        raise BtfError(f"type {type_id} of kind {kind} has no size")

    def struct_size(self, name: str) -> int | None:
        """Bytes of the named struct, or None where the kernel has no such struct."""
        found = self.type_id(name, KIND_STRUCT, KIND_UNION)
        return None if found is None else self.size_of(found)

    def member(self, struct_name: str, path: str) -> Member | None:
        """The member at ``path`` ("a" or "a.b"), looked for inside anonymous parts too, or None."""
        found = self.type_id(struct_name, KIND_STRUCT, KIND_UNION)
        if found is None:
            return None
        offset, member = 0, None
        for part in path.split("."):
            member = self._member_of(found, part)
            if member is None:
                return None
            offset += member.offset
            found = self.strip(member.type_id)
        assert member is not None
        return Member(path, offset, member.size, member.type_id, member.bits)

    def _member_of(self, type_id: int, wanted: str, searched: dict[int, bool] | None = None) -> Member | None:
        """``searched``: {anonymous part: whether its search has ended}. One that did not have it is not searched again:
        parts that hold each other twice, and these others twice, would take for ever."""
        searched = {} if searched is None else searched
        if (type_id in searched and not searched[type_id]) or len(searched) > _MOST_PARTS:
            raise BtfError(f"type {type_id} holds itself, or more than {_MOST_PARTS} parts")
        if not type_id or type_id in searched:
            return None
        searched[type_id] = False
        found = self._look_in(type_id, wanted, searched)
        searched[type_id] = True
        return found

    def _look_in(self, type_id: int, wanted: str, searched: dict[int, bool]) -> Member | None:
        _, kind, vlen, _, tail = self._head(type_id)
        if kind not in (KIND_STRUCT, KIND_UNION):
            return None
        has_bits = self._unpack("<I", tail - 8)[0] >> 31
        for entry in range(vlen):
            name_off, member_type, raw = self._unpack("<III", tail + 12 * entry)
            bits, offset_bits = (raw >> 24, raw & 0xFFFFFF) if has_bits else (0, raw)
            name = self._name(name_off)
            if name == wanted:
                return Member(name, offset_bits // 8, self.size_of(member_type), member_type, bits)
            if not name:
                inner = self._member_of(self.strip(member_type), wanted, searched)
                if inner is not None:
                    return Member(inner.name, offset_bits // 8 + inner.offset, inner.size, inner.type_id, inner.bits)
        return None

    def enumerators(self, name: str) -> dict[str, int]:
        """Names and values of the named enum; empty where the kernel has none."""
        found = self.type_id(name, KIND_ENUM, KIND_ENUM64)
        return {} if found is None else self._enumerators_of(found)

    def enumerators_beginning(self, prefix: str) -> dict[str, int]:
        """Names and values of all enumerators whose name begins so, whatever their enum is called. Looks at
        every enum of the kernel (a few thousand), and only where the prefix is one of anything's at all."""
        found: dict[str, int] = {}
        if b"\0" + prefix.encode() not in self._strings:
            return found
        for type_id in range(1, len(self._starts)):
            info = self._unpack("<II", self._at(type_id))[1]
            if info >> 24 & 31 in (KIND_ENUM, KIND_ENUM64):
                of_enum = self._enumerators_of(type_id)
                found.update((name, value) for name, value in of_enum.items() if name.startswith(prefix))
        return found

    def _enumerators_of(self, type_id: int) -> dict[str, int]:
        _, kind, vlen, _, tail = self._head(type_id)
        step, layout = (8, "<Ii") if kind == KIND_ENUM else (12, "<IQ")
        values = {}
        for entry in range(vlen):
            name_off, value = self._unpack(layout, tail + step * entry)
            values[self._name(name_off)] = value
        return values

    def function(self, name: str) -> Function | None:
        """Prototype of the named kernel function, or None."""
        found = self.type_id(name, KIND_FUNC)
        return None if found is None else self._prototype(name, found, self._head(found)[3])

    def tracepoint(self, name: str) -> Function | None:
        """Prototype of a tracepoint as raw programs see it (the leading ``void *__data`` dropped)."""
        found = self.type_id("btf_trace_" + name, KIND_TYPEDEF)
        if found is None:
            return None
        pointer = self.strip(found)
        prototype = self._prototype(name, found, self._head(pointer)[3])
        return Function(name, found, prototype.parameters[1:], False)

    def _prototype(self, name: str, type_id: int, proto_id: int) -> Function:
        _, kind, vlen, returns, tail = self._head(self.strip(proto_id))
        if kind != KIND_FUNC_PROTO:
            raise BtfError(f"{name} has no prototype")
        parameters = []
        for entry in range(vlen):
            name_off, param_type = self._unpack("<II", tail + 8 * entry)
            base, is_pointer = self.base_name(param_type), self.is_pointer(param_type)
            parameters.append(Parameter(self._name(name_off), param_type, base, is_pointer))
        return Function(name, type_id, tuple(parameters), self.strip(returns) != 0)
