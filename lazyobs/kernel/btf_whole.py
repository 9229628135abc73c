# SPDX-License-Identifier: MIT
"""All structs and functions of a kernel's type data, in a form in which two kernels can be compared."""

from __future__ import annotations

from dataclasses import dataclass

from lazyobs.kernel.btf import (
    KIND_ARRAY,
    KIND_CONST,
    KIND_ENUM,
    KIND_ENUM64,
    KIND_FUNC,
    KIND_FUNC_PROTO,
    KIND_FWD,
    KIND_PTR,
    KIND_RESTRICT,
    KIND_STRUCT,
    KIND_TYPE_TAG,
    KIND_UNION,
    KIND_VOLATILE,
    Btf,
    BtfError,
)

_WORDS = {KIND_CONST: "const ", KIND_VOLATILE: "volatile ", KIND_RESTRICT: "", KIND_TYPE_TAG: ""}
_TAGS = {KIND_STRUCT: "struct ", KIND_UNION: "union ", KIND_ENUM: "enum ", KIND_ENUM64: "enum ", KIND_FWD: "struct "}
_MOST_DEEP = 12  # types within types


@dataclass(frozen=True)
class Field:
    """``offset`` and ``size`` in bytes; ``bits``: of a bit-field, else 0. An anonymous part has the name ""."""

    name: str
    type: str
    offset: int
    size: int
    bits: int = 0


@dataclass(frozen=True)
class Struct:
    """``size`` in bytes. Where a kernel has several of one name, the first."""

    name: str
    size: int
    fields: tuple[Field, ...]

    @property
    def holes(self) -> int:
        """Bytes that no field takes, at the end and in between, as pahole counts them; of a struct, not of a union."""
        taken = 0
        free = 0
        for field in self.fields:
            free += max(0, field.offset - taken)
            taken = max(taken, field.offset + field.size)
        return free + max(0, self.size - taken)


class WholeBtf(Btf):
    """Everything, instead of the wanted names. BtfError where the data is damaged."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data, [])

    def structs(self) -> dict[str, Struct]:
        """Every struct that has a name."""
        found: dict[str, Struct] = {}
        for type_id in range(1, len(self._starts)):
            name, kind, vlen, size, tail = self._head(type_id)
            if kind == KIND_STRUCT and name and name not in found:
                found[name] = Struct(name, size, self._fields(vlen, tail))
        return found

    def prototypes(self) -> dict[str, str]:
        """{function: its prototype, as C has it}."""
        found: dict[str, str] = {}
        for type_id in range(1, len(self._starts)):
            name, kind, _vlen, proto, _tail = self._head(type_id)
            if kind == KIND_FUNC and name not in found:
                found[name] = self._of_function(name, proto)
        return found

    def _fields(self, vlen: int, tail: int) -> tuple[Field, ...]:
        has_bits = self._unpack("<I", tail - 8)[0] >> 31
        fields = []
        for entry in range(vlen):
            name_off, member, raw = self._unpack("<III", tail + 12 * entry)
            bits, offset = (raw >> 24, raw & 0xFFFFFF) if has_bits else (0, raw)
            fields.append(Field(self._name(name_off), self.words(member), offset // 8, self._size(member), bits))
        return tuple(fields)

    def _size(self, type_id: int) -> int:
        try:
            return self.size_of(type_id)
        except BtfError:
            return 0

    def words(self, type_id: int, deep: int = 0) -> str:
        """The type as C has it, without a name: "struct folio *"."""
        if not type_id:
            return "void"
        if deep > _MOST_DEEP:
            return "..."
        name, kind, _vlen, target, tail = self._head(type_id)
        if kind in _WORDS:
            return _WORDS[kind] + self.words(target, deep + 1)
        if kind == KIND_PTR:
            return self._pointer(target, deep)
        if kind == KIND_ARRAY:
            element, _index, count = self._unpack("<III", tail)
            return f"{self.words(element, deep + 1)}[{count}]"
        if kind == KIND_FUNC_PROTO:
            return self._of_function("", type_id, deep + 1)
        return _TAGS.get(kind, "") + (name or "{...}")

    def _pointer(self, target: int, deep: int) -> str:
        if target and self._head(target)[1] == KIND_FUNC_PROTO:
            return self._of_function("(*)", target, deep + 1)
        words = self.words(target, deep + 1)
        return words + ("*" if words.endswith("*") else " *")

    def _of_function(self, name: str, proto: int, deep: int = 0) -> str:
        _, kind, vlen, returns, tail = self._head(proto)
        if kind != KIND_FUNC_PROTO:
            raise BtfError(f"{name} has no prototype")
        parameters = []
        for entry in range(vlen):
            name_off, parameter = self._unpack("<II", tail + 8 * entry)
            words = self.words(parameter, deep + 1) if parameter else "..."
            called = self._name(name_off)
            parameters.append(f"{words}{'' if words.endswith('*') or not called else ' '}{called}")
        result = self.words(returns, deep + 1)
        return f"{result}{'' if result.endswith('*') else ' '}{name}({', '.join(parameters) or 'void'})"
