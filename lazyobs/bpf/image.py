# SPDX-License-Identifier: MIT
"""A compiled set of probes: instructions, the maps they use, and where the instructions refer to maps and addresses.

An image holds no file descriptors and no addresses of this boot, so it can be cached: loading one needs neither BCC
nor a compiler.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from lazyobs.bpf import abi, addresses, kfuncs


class ImageError(ValueError):
    """The bytes are not an image this version reads."""


@dataclass(frozen=True)
class MapShape:
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


@dataclass
class Image:
    """``programs``: {name: instructions}; ``references``: {program: [(instruction index, map name)]};
    ``addresses``: {program: [(instruction index, number)]}, see addresses.py.
    """

    maps: dict[str, MapShape]
    programs: dict[str, bytes]
    references: dict[str, list[tuple[int, str]]]
    addresses: dict[str, list[tuple[int, int]]]
    compiler: str = ""  # BCC's version

    def program(self, name: str, map_fds: dict[str, int], values: list[int], btf_ids: Sequence[int] = ()) -> bytes:
        """Instructions of one program with the maps' fds, the addresses and the kernel functions filled in."""
        code = bytearray(self.programs[name])
        for index, map_name in self.references[name]:
            opcode, registers, offset, _ = abi.INSTRUCTION.unpack_from(code, index * 8)
            abi.INSTRUCTION.pack_into(code, index * 8, opcode, registers, offset, map_fds[map_name])
        addresses.fill_in(code, self.addresses[name], values)
        kfuncs.fill_in(code, btf_ids)
        return bytes(code)

    def used_maps(self, programs: list[str]) -> list[str]:
        """Names of the maps that these programs use."""
        return sorted({name for program in programs for _, name in self.references[program]})

    def to_bytes(self) -> bytes:
        document = {
            "maps": {name: asdict(shape) for name, shape in self.maps.items()},
            "programs": {name: base64.b64encode(code).decode() for name, code in self.programs.items()},
            "references": self.references,
            "addresses": self.addresses,
            "compiler": self.compiler,
        }
        return json.dumps(document).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Image:
        """Raises ImageError on anything but the output of ``to_bytes``."""
        try:
            document = json.loads(raw)
            return cls(
                {name: MapShape(**shape) for name, shape in document["maps"].items()},
                {name: base64.b64decode(code) for name, code in document["programs"].items()},
                {name: [(i, m) for i, m in refs] for name, refs in document["references"].items()},
                {name: [(i, n) for i, n in refs] for name, refs in document["addresses"].items()},
                document["compiler"],
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ImageError(str(error)) from None


def map_references(code: bytes, names_by_fd: dict[int, str]) -> list[tuple[int, str]]:
    """Where ``code`` loads a map by fd (ld_imm64 with BPF_PSEUDO_MAP_FD in the source register)."""
    references = []
    for index in range(len(code) // 8):
        opcode, registers, _, immediate = abi.INSTRUCTION.unpack_from(code, index * 8)
        if opcode == abi.LD_IMM64 and registers >> 4 == abi.PSEUDO_MAP_FD:
            references.append((index, names_by_fd[immediate]))
    return references
