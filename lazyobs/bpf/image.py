# SPDX-License-Identifier: MIT
"""A compiled set of probes: instructions, the maps they use, and the blanks in them (blanks.py).

An image holds nothing of one kernel and of one boot, so a file of it serves everywhere, and neither BCC nor a compiler
is needed to load it. Root loads what is in the file, which somebody else may have written: it is read strictly.
"""

from __future__ import annotations

import binascii
import json
import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lazyobs.bpf import abi, blanks
from lazyobs.bpf.blanks import Blank, BlankError, Switch, Values
from lazyobs.unix.sha256 import sha256

_MAGIC = "lazyobs image 1"
MOST_BYTES = 8 << 20  # of a file: an image has 0.2 MB
_MOST_INSTRUCTIONS = 1 << 15  # of a program: a jump reaches no further
_MOST_PROGRAMS, _MOST_MAPS = 256, 64
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,79}")
_VERSION = re.compile(r"[0-9A-Za-z.+~-]{0,40}")
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST_MAP_BYTES = 1 << 28


class ImageError(ValueError):
    """The bytes are not an image this version reads."""


class MapShape(NamedTuple):
    """What BPF_MAP_CREATE needs; sizes are bytes."""

    type: int
    key_size: int
    value_size: int
    entries: int
    flags: int

    @classmethod
    def of(cls, fd: int) -> MapShape:
        """Shape of an existing map (``struct bpf_map_info``)."""
        kind, _id, key, value, entries, flags = struct.unpack_from("=6I", abi.object_info(fd))
        return cls(kind, key, value, entries, flags)

    def create(self, name: str, read_only: bool = False) -> int:
        """A new map's fd. ``read_only``: only programs can change the map, not the fd or its copies."""
        # The consumer of a ring buffer writes its read position, so the kernel refuses the flag there.
        flags = self.flags | (abi.F_RDONLY if read_only and self.type != abi.MAP_TYPE_RINGBUF else 0)
        return abi.map_create(self.type, self.key_size, self.value_size, self.entries, flags, name)


class Program(NamedTuple):
    """``code``: instructions, with marks where the ``blanks`` are."""

    code: bytes
    blanks: tuple[Blank, ...]


def source_of(raw: bytes) -> str:
    """hash_of() the C text of an image, as its first line says; ImageError where that is no image's."""
    words = raw[:256].split(b"\n", 1)[0].decode("ascii", "replace").split(" ")
    if len(raw) > MOST_BYTES or " ".join(words[:3]) != _MAGIC or len(words) != 5:
        raise ImageError("no image of this version")
    return _text(words[3], _HASH)


def hash_of(source: str) -> str:
    """What an image says of the C text that it was compiled from."""
    return sha256(source.encode()).hexdigest()


class Image(NamedTuple):
    """``source``: hash_of() the C text; ``compiler``: BCC's version."""

    maps: dict[str, MapShape]
    programs: dict[str, Program]
    source: str
    compiler: str

    def program(self, name: str, map_fds: Mapping[str, int], values: Values, switches: Mapping[str, Switch]) -> bytes:
        """Instructions of one program for this kernel. BlankError where one of its blanks cannot be filled in."""
        code, places = self.programs[name]
        return blanks.fill(code, places, map_fds, values, switches)

    def used_maps(self, programs: Iterable[str]) -> list[str]:
        """Names of the maps that these programs use."""
        found = (blank for program in programs for blank in self.programs[program].blanks)
        return sorted({blank.name for blank in found if blank.kind in blanks.OF_MAPS})

    def to_bytes(self) -> bytes:
        """A line with what it is, of which C text, and a checksum; then JSON: the same for the same image."""
        document = {
            "compiler": self.compiler,
            "maps": {name: list(shape) for name, shape in self.maps.items()},
            "programs": {
                name: {
                    "code": binascii.b2a_base64(code, newline=False).decode(),
                    "blanks": [list(blank) for blank in places],
                }
                for name, (code, places) in self.programs.items()
            },
        }
        rest = json.dumps(document, sort_keys=True, indent=0, separators=(",", ":")).encode() + b"\n"
        return _head(self.source, rest) + rest

    @classmethod
    def from_bytes(cls, raw: bytes) -> Image:
        """Raises ImageError on anything but the output of ``to_bytes``."""
        source = source_of(raw)
        head, _, rest = raw.partition(b"\n")
        if head + b"\n" != _head(source, rest):
            raise ImageError("damaged: its content is not what was written")
        try:
            document = json.loads(rest)
        except (ValueError, RecursionError):
            raise ImageError("its content is no JSON") from None
        return _of(document, source)


def _head(source: str, rest: bytes) -> bytes:
    """The first line: what it is, of which C text, and a checksum of all of it, for what is damaged by chance. Who can
    write the file could write any: images.py says whose it may be."""
    return f"{_MAGIC} {source} {zlib.crc32(source.encode() + rest):08x}\n".encode()


def _of(document: Any, source: str) -> Image:
    fields = _object(document, "the image")
    if set(fields) != {"compiler", "maps", "programs"}:
        raise ImageError("the image has other fields than its version")
    maps = {_name(name): _shape(shape) for name, shape in _object(fields["maps"], "maps").items()}
    programs = {_name(name): _program(name, one, maps) for name, one in _object(fields["programs"], "programs").items()}
    if len(maps) > _MOST_MAPS or len(programs) > _MOST_PROGRAMS:
        raise ImageError("more maps or programs than an image can have")
    return Image(maps, programs, source, _text(fields["compiler"], _VERSION))


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ImageError(f"{what}: no object")
    return value


def _text(value: Any, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ImageError("a text that is none of an image")
    return value


def _name(value: Any) -> str:
    return _text(value, _NAME)


def _number(value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ImageError(f"no number up to {most}")
    return value


def _shape(value: Any) -> MapShape:
    if not isinstance(value, list) or len(value) != len(MapShape._fields):
        raise ImageError("a map without its five numbers")
    shape = MapShape(*(_number(number, 0xFFFFFFFF) for number in value))
    if shape.entries * (shape.key_size + shape.value_size) > _MOST_MAP_BYTES:
        raise ImageError("a map larger than those of the probes")
    return shape


def _program(name: str, value: Any, maps: Mapping[str, MapShape]) -> Program:
    fields = _object(value, name)
    if (
        set(fields) != {"code", "blanks"}
        or not isinstance(fields["code"], str)
        or not isinstance(fields["blanks"], list)
    ):
        raise ImageError(f"program {name} has no code and blanks")
    try:
        code = binascii.a2b_base64(fields["code"].encode("ascii", "replace"))
    except binascii.Error:
        raise ImageError(f"program {name}: no base64") from None
    if not code or len(code) % abi.INSTRUCTION.size or len(code) > _MOST_INSTRUCTIONS * abi.INSTRUCTION.size:
        raise ImageError(f"program {name} has {len(code)} bytes")
    places = tuple(_blank(name, entry) for entry in fields["blanks"])
    try:
        blanks.check(code, places)
    except BlankError as error:
        raise ImageError(f"program {name}: {error}") from None
    for blank in places:
        if blank.kind in blanks.OF_MAPS and blank.name not in maps:
            raise ImageError(f"program {name}: no map {blank.name}")
    return Program(code, places)


def _blank(program: str, value: Any) -> Blank:
    if not isinstance(value, list) or len(value) != len(Blank._fields) or value[1] not in blanks.KINDS:
        raise ImageError(f"program {program}: a blank that is none")
    return Blank(_number(value[0], _MOST_INSTRUCTIONS), value[1], _name(value[2]))
