# SPDX-License-Identifier: MIT
"""Names of mappings, from /proc/PID/maps (proc_pid_maps(5)): files, ``[heap]``, ``[stack]``, ``[anon:NAME]``."""

from __future__ import annotations

from collections.abc import Iterable

_FIELDS = 5  # before the name: range, permissions, offset, device, inode


class Mappings:
    """The maps of some processes. Opened while it is allowed: what reads them later may not open them.

    A process whose maps cannot be opened has no names."""

    def __init__(self, pids: Iterable[int], proc_root: str = "/proc") -> None:
        self._files = {}
        for pid in pids:
            try:
                self._files[pid] = open(f"{proc_root}/{pid}/maps", "rb")  # noqa: SIM115
            except OSError:
                continue

    def names(self, pid: int) -> dict[int, str] | None:
        """{first byte of a mapping: its name, "" of a nameless one}; None where they cannot be read."""
        file = self._files.get(pid)
        if file is None:
            return None
        try:
            file.seek(0)
            return parse(file.read())
        except OSError:
            return None

    def close(self) -> None:
        for file in self._files.values():
            file.close()


def parse(text: bytes) -> dict[int, str]:
    """ValueError for a line that begins with no address."""
    found = {}
    for line in text.splitlines():
        words = line.split(None, _FIELDS)
        if words:
            name = words[_FIELDS].decode("utf-8", "replace") if len(words) > _FIELDS else ""
            found[int(words[0].partition(b"-")[0], 16)] = name
    return found
