# SPDX-License-Identifier: MIT
"""A swap device for the battery: zram if the kernel supports it, otherwise a file."""

from __future__ import annotations

import os
import struct

from lazyobs.selftest import syscalls
from lazyobs.selftest.settings_guard import Guardian, load_module
from lazyobs.selftest.syscalls import PAGE

BYTES = 64 << 20
_HOT_ADD = "/sys/class/zram-control/hot_add"
_SWAP_FLAG_PREFER, _HIGHEST = 0x8000, 0x7FFF


def why_not() -> str:
    """Why swap cannot be set up here, or "" (``set_up`` may still fail)."""
    if not os.path.exists("/proc/swaps"):
        return "the kernel has no swap"
    if os.geteuid() != 0:
        return "swapon needs root"
    return ""


def set_up(guardian: Guardian) -> str:
    """Enables swap; returns its device or file. OSError on failure, as on a read-only /var/tmp without zram."""
    path = _zram(guardian) if _has_zram(guardian) else _file(guardian)
    _make_header(path)
    if syscalls.libc.swapon(path.encode(), _SWAP_FLAG_PREFER | _HIGHEST):
        raise syscalls.failed(f"swapon {path}")
    return path


def _has_zram(guardian: Guardian) -> bool:
    """Whether zram devices can be made; its module is loaded for that, and unloaded at the end."""
    if not os.path.exists(_HOT_ADD):
        guardian.remember("unload_module", "zram")
        load_module("zram", "num_devices=0")
    return os.path.exists(_HOT_ADD)


def _zram(guardian: Guardian) -> str:
    guardian.remember("remove_zram", [name for name in os.listdir("/sys/block") if name.startswith("zram")])
    with open(_HOT_ADD, encoding="ascii") as file:
        name = f"zram{int(file.read())}"
    with open(f"/sys/block/{name}/disksize", "w", encoding="ascii") as file:
        file.write(str(BYTES))
    return f"/dev/{name}"


def _file(guardian: Guardian) -> str:
    # Not in /tmp: it is often a tmpfs, which swapon refuses.
    directory = os.path.join("/var/tmp", f"lazyobs-selftest-{os.getpid()}")
    path = os.path.join(directory, "swap")
    guardian.remember("remove_directory", directory)
    os.mkdir(directory, 0o700)
    guardian.remember("remove", path)
    guardian.remember("swapoff", path)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        for _ in range(BYTES >> 20):
            file.write(bytes(1 << 20))
        os.fsync(fd)
    return path


def _make_header(path: str) -> None:
    """What mkswap writes (union swap_header in include/linux/swap.h): version 1, the last page, the magic."""
    header = bytearray(PAGE)
    struct.pack_into("=III", header, 1024, 1, BYTES // PAGE - 1, 0)
    header[PAGE - 10 :] = b"SWAPSPACE2"
    with open(path, "r+b") as file:
        file.write(header)
        os.fsync(file.fileno())
