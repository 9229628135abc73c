# SPDX-License-Identifier: MIT
"""The state of the machine as columns: /proc/vmstat, /proc/meminfo, pressure stall totals and the kernel's taint.

The columns are determined once; the files stay open, so that they can be read after root is given up.
"""

from __future__ import annotations

import functools
import os
import re

from lazyobs.kernel import meminfo

_PRESSURE = ("cpu", "io", "memory")
_TOTAL = re.compile(rb"^(some|full) .*total=(\d+)", re.MULTILINE)
_TAINTED = "sys/kernel/tainted"


_NUMBER = re.compile(rb"-?[0-9]{1,18}")  # fits into a column of int64


def _is_number(word: bytes) -> bool:
    return (word.isdigit() and len(word) <= 18) or _NUMBER.fullmatch(word) is not None


_vmstat_column = functools.cache(lambda name: "vmstat_" + name.decode("ascii", "replace"))


def _vmstat(raw: bytes) -> dict[str, int]:
    """What is no line of a name and a number is left out."""
    words = map(bytes.split, raw.splitlines())
    return {_vmstat_column(pair[0]): int(pair[1]) for pair in words if len(pair) == 2 and _is_number(pair[1])}


def _meminfo(raw: bytes) -> dict[str, int]:
    return {f"meminfo_{name}": value for name, value in meminfo.parsed(raw).items()}


def _pressure(kind: str, raw: bytes) -> dict[str, int]:
    """Microseconds stalled since boot."""
    return {
        f"pressure_{kind}_{share.decode()}_us": int(total) for share, total in _TOTAL.findall(raw) if _is_number(total)
    }


class System:
    """``columns`` in the order of ``read``; ``why_not``: {file: why it is not available}."""

    def __init__(self, proc_root: str = "/proc") -> None:
        self.why_not: dict[str, str] = {}
        self._fds: dict[str, int] = {}
        for name in ("vmstat", "meminfo", _TAINTED, *(f"pressure/{kind}" for kind in _PRESSURE)):
            try:
                self._fds[name] = os.open(os.path.join(proc_root, name), os.O_RDONLY | os.O_CLOEXEC)
                os.pread(
                    self._fds[name], 1, 0
                )  # if PSI is compiled in but disabled, the open succeeds and the read fails
            except OSError as error:
                self.why_not[name] = error.strerror or str(error)
                fd = self._fds.pop(name, None)
                if fd is not None:
                    os.close(fd)
        self.columns = tuple(self._read())

    def read(self) -> list[int | None]:
        """Current values, in the order of ``columns``; None for a value that has disappeared."""
        found = self._read()
        return [found.get(name) for name in self.columns]

    def _read(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for name, fd in self._fds.items():
            raw = os.pread(fd, 1 << 16, 0)
            if name == "vmstat":
                found.update(_vmstat(raw))
            elif name == "meminfo":
                found.update(_meminfo(raw))
            elif name == _TAINTED:
                found.update({"kernel_tainted": int(raw)} if _is_number(raw.strip()) else {})
            else:
                found.update(_pressure(name.rpartition("/")[2], raw))
        return found

    def close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
