# SPDX-License-Identifier: MIT
"""The BTF of the lab's images, cut out of their vmlinuz: what ``lazyobs doctor --against`` is given."""

from __future__ import annotations

import lzma
import os
import struct
import subprocess
from pathlib import Path

from .errors import LabError

_BTF = bytes.fromhex("9feb010018000000")  # magic, version 1, no flags; a header of 24 bytes
_LZ4_LEGACY, _XZ, _ZSTD = bytes.fromhex("02214c18"), b"\xfd7zXZ", bytes.fromhex("28b52ffd")
#: A kernel's types; shorter ones are of something that it carries, such as a module's.
_LEAST_BYTES = 1 << 20


def _unpacked(vmlinuz: bytes) -> bytes:
    """The kernel in an x86 bzImage (Documentation/arch/x86/boot.rst); other images are not packed."""
    if vmlinuz[0x202:0x206] != b"HdrS":
        return vmlinuz
    begin = (vmlinuz[0x1F1] + 1) * 512 + struct.unpack_from("<I", vmlinuz, 0x248)[0]
    packed = vmlinuz[begin : begin + struct.unpack_from("<I", vmlinuz, 0x24C)[0]]
    # behind each of them stand four bytes, the size of the kernel
    if packed.startswith(_XZ):
        return lzma.LZMADecompressor().decompress(packed)
    for magic, program in ((_ZSTD, "zstd"), (_LZ4_LEGACY, "lz4")):
        if packed.startswith(magic):
            return subprocess.run([program, "-dcq"], input=packed[:-4], check=True, stdout=subprocess.PIPE).stdout
    raise LabError(f"the kernel is packed with what lab/type_data.py does not know ({packed[:4].hex()})")


def of(folder: Path) -> Path | None:
    """The file ``btf`` in an image's folder, made from its vmlinuz when it is not there; None: it has no BTF."""
    target = folder / "btf"
    if not target.exists():
        kernel = _unpacked((folder / "vmlinuz").read_bytes())
        own = target.with_suffix(f".{os.getpid()}")
        own.write_bytes(_cut(kernel))
        own.replace(target)
    return target if target.stat().st_size else None


def _cut(kernel: bytes) -> bytes:
    at = kernel.find(_BTF)
    while at >= 0:
        header, types, type_bytes, strings, string_bytes = struct.unpack_from("<IIIII", kernel, at + 4)
        size = header + max(types + type_bytes, strings + string_bytes)
        if _LEAST_BYTES < size <= len(kernel) - at and strings == type_bytes:
            return kernel[at : at + size]
        at = kernel.find(_BTF, at + 1)
    return b""
