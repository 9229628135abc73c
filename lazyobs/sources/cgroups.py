# SPDX-License-Identifier: MIT
"""Paths of cgroups: from the kernel's own tree where there are probes, else from /proc/PID/cgroup.

Both name the same cgroup: the one of the memory controller where cgroup v1 has it, else the one of cgroup v2. /proc
gives paths relative to the root of the reader's cgroup namespace: "/../x" is beside that root.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from lazyobs.unix import namespaces

_MOST = 10_000
_MOST_LEVELS = 64
Tree = Mapping[int, tuple[int, str]]  # {id of a cgroup: (id of its parent, its name)}; the root's parent is 0


def as_shown(given: str) -> str:
    """A path of the command line as samples have it: bytes that are not UTF-8 as U+FFFD."""
    return os.fsencode(given).decode("utf-8", "replace")


def exists(given: str, proc_root: str = "/proc") -> bool:
    """Whether there is a cgroup of that path, or a process in one that is shown so.

    True where that cannot be looked up: with probes, paths are the host's, whatever namespace this process is in.
    """
    if not all(namespaces.is_initial(kind) for kind in ("cgroup", "pid")):
        return True
    below = os.fsencode(given).strip(b"/")
    if any(os.path.isdir(os.path.join(mount, below)) for mount in _mounts(proc_root)):
        return True
    # The path may be as samples show it.
    shown = "/" + as_shown(given).strip("/")
    found = (path_of_process(int(name), proc_root) for name in os.listdir(proc_root) if name.isdecimal())
    return any(path == shown or path.startswith(shown.rstrip("/") + "/") for path in found if path is not None)


def _mounts(proc_root: str) -> list[bytes]:
    """Where cgroup v2 is mounted, and the memory controller and systemd's hierarchy of v1."""
    try:
        with open(f"{proc_root}/self/mounts", "rb") as file:
            rows = [line.split(b" ") for line in file]
    except OSError:
        return []
    return [
        row[1]
        for row in rows
        if len(row) > 3
        and (row[2] == b"cgroup2" or (row[2] == b"cgroup" and {b"memory", b"name=systemd"} & {*row[3].split(b",")}))
    ]


class KernelCgroups:
    """Paths by cgroup id. The tree is read when an id is new, at most once a sample."""

    def __init__(self, read: Callable[[], Tree]) -> None:
        self._read = read
        self._paths: dict[int, str] = {}
        self._is_fresh = False

    def begin(self) -> None:
        """A new sample begins: an unknown id may have come since."""
        self._is_fresh = False

    def path(self, cgroup_id: int) -> str | None:
        """Path below the hierarchy's root ("/system.slice/x.service"), None if the kernel does not give it.

        OSError where the tree cannot be read now.
        """
        if cgroup_id not in self._paths and not self._is_fresh:
            self._is_fresh = True
            tree = self._read()
            if len(self._paths) + len(tree) > _MOST:
                self._paths.clear()
            self._paths.update((one, path) for one in tree if (path := _path(tree, one)) is not None)
        return self._paths.get(cgroup_id)


def _path(tree: Tree, cgroup_id: int) -> str | None:
    names: list[str] = []
    while len(names) < _MOST_LEVELS and cgroup_id in tree:
        parent, name = tree[cgroup_id]
        if not parent:
            return "/" + "/".join(reversed(names))
        if not name:
            return None
        names.append(name)
        cgroup_id = parent
    return None


def path_of_process(pid: int, proc_root: str = "/proc") -> str | None:
    """The path that /proc shows; None if it cannot be read, or the process is in no hierarchy that names it."""
    try:
        with open(f"{proc_root}/{pid}/cgroup", "rb") as file:
            return path_in(file.read().decode("utf-8", "replace"))
    except OSError:
        return None


def path_in(text: str) -> str | None:
    """The path in a text of /proc/PID/cgroup, "ID:CONTROLLERS:PATH" a line (cgroups(7)).

    The memory controller's in v1; else that of v2, unless that is not in use beside systemd's hierarchy.
    """
    paths: dict[str, str] = {}
    for line in text.split("\n"):  # a cgroup's name may hold any other end of a line, and another path after it
        parts = line.split(":", 2)
        if len(parts) == 3 and parts[2].startswith("/"):
            paths.update((controller, parts[2]) for controller in parts[1].split(","))
    if "memory" in paths:
        return paths["memory"]
    unified = paths.get("")
    return paths.get("name=systemd", unified) if unified in (None, "/") else unified
