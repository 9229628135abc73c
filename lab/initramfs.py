# SPDX-License-Identifier: MIT
"""The guest's first files: init, and the modules for mounting the host's root."""

from __future__ import annotations

import gzip
import lzma
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from .cache import LAB, content_hash, made_once, root
from .errors import LabError
from .packages import COMPILERS

INIT_SOURCE = LAB / "guest" / "init.c"
#: What a guest needs before it has a root: a distribution kernel has some of it as modules.
NEEDED = ("virtio_pci", "virtio_console", "virtio_rng", "9pnet_virtio", "9p", "overlay")
#: Tried, and forgotten where they do not load: a root on disks (crc32c for its ext4), swap on zram.
WANTED = (
    "virtio_blk", "crc32c_generic", "crc32c_intel", "crc32c_cryptoapi", "ext4", "lzo", "lzo_rle", "zram",
    "hwpoison_inject",
)  # fmt: skip


def _init(arch: str) -> Path:
    """The compiled init."""
    compiler = COMPILERS[arch]

    def make(folder: Path) -> None:
        command = [compiler, "-O2", "-static", "-Wall", "-o", str(folder / "init"), str(INIT_SOURCE)]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode:
            raise LabError(f"cannot compile the guest's init; {compiler} and its libc6-dev are needed", result.stdout)

    return made_once(root() / "init" / content_hash([INIT_SOURCE, compiler]), make) / "init"


def module_order(dependencies: dict[str, tuple[str, list[str]]], wanted: Iterable[str]) -> list[str]:
    """Paths of the wanted modules and all that they depend on, dependencies first.

    ``dependencies`` is modules.dep by module name: (path, names it depends on). A name without a
    row is built in.
    """
    order: list[str] = []

    def add(name: str) -> None:
        if name in dependencies:
            path, needs = dependencies[name]
            for need in needs:
                add(need)
            if path not in order:
                order.append(path)

    for name in wanted:
        add(name)
    return order


def _module_name(path: str) -> str:
    return re.sub(r"\.ko(\.\w+)?$", "", path.rsplit("/", 1)[-1]).replace("-", "_")


def read_modules_dep(text: str) -> dict[str, tuple[str, list[str]]]:
    found = {}
    for line in text.splitlines():
        path, _, needs = line.partition(":")
        # modules.dep lists the nearest dependency last
        found[_module_name(path)] = (path, [_module_name(need) for need in reversed(needs.split())])
    return found


def _plain_module(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dc", str(path)], check=True, stdout=subprocess.PIPE).stdout
    return data


def _cpio(entries: Iterable[tuple[str, int, bytes]]) -> bytes:
    """A newc archive of (name, mode, data)."""
    out = bytearray()
    for number, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08X" % value for value in fields) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def initramfs(image: Path, arch: str = "amd64") -> Path:
    """The archive for an image, made once."""
    init = _init(arch)
    target = root() / "initramfs" / f"{image.name}-{content_hash([init, *NEEDED, *WANTED])}"

    def make(folder: Path) -> None:
        entries = [(d, 0o040755, b"") for d in ("dev", "proc", "sys", "root", "modules")]
        entries.append(("init", 0o100755, init.read_bytes()))
        names = []
        for base in sorted((image / "modules").glob("*")) if (image / "modules").is_dir() else []:
            dependencies = read_modules_dep((base / "modules.dep").read_text())
            needed = module_order(dependencies, NEEDED)
            for path in module_order(dependencies, NEEDED + WANTED):
                name = f"modules/{_module_name(path)}.ko"
                entries.append((name, 0o100644, _plain_module(base / path)))
                names.append(("/" if path in needed else "-/") + name)
        entries.append(("modules.list", 0o100644, "".join(name + "\n" for name in names).encode()))
        (folder / "initramfs.gz").write_bytes(gzip.compress(_cpio(entries), 1))

    return made_once(target, make) / "initramfs.gz"
