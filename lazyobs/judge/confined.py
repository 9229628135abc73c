# SPDX-License-Identifier: MIT
"""An unknown patch is built and booted as an ordinary user that can write in two folders, and has no network.

Root gives itself up for good before anything of the patch is run: its configuration and its makefiles are programs. The
user is ``lazyobs-build`` where there is one, or else a number that no account has.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lazyobs.errors import NotPermitted
from lazyobs.judge import programs
from lazyobs.text import printable
from lazyobs.unix import landlock
from lazyobs.unix.capabilities import CAP_SETGID, CAP_SETUID, effective
from lazyobs.unix.namespaces import is_mapped
from lazyobs.unix.privileges import hide_memory, no_new_privileges

OWN_NAME = "lazyobs-build"
#: Outside of what distributions give to people (60000) and systemd to services (61184 to 65519 but these).
OWN_NUMBER = 60917
_CLONE_NEWNET, _CLONE_NEWIPC = 0x40000000, 0x08000000
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/kvm", "/dev/ptmx", "/dev/shm")
_SELF = Path("/proc/self")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Builder:
    """The user that builds and boots. ``changes``: this process has to become it."""

    uid: int
    gid: int
    name: str
    changes: bool


def builder() -> Builder:
    """Who is to build: this user, or of root another. NotPermitted for a root that cannot become another user."""
    if os.geteuid() != 0:
        return Builder(os.geteuid(), os.getegid(), "this user", changes=False)
    held = effective()
    if not (held >> CAP_SETUID & 1 and held >> CAP_SETGID & 1):
        raise NotPermitted("judge", "root must not build an unknown patch, and this root cannot become another user (CAP_SETUID, CAP_SETGID)", "run it as an ordinary user")  # fmt: skip
    try:
        entry = pwd.getpwnam(OWN_NAME)
        found = Builder(entry.pw_uid, entry.pw_gid, f"user {OWN_NAME}", changes=True)
    except KeyError:
        uid = next(uid for uid in range(OWN_NUMBER, OWN_NUMBER + 200) if not _is_taken(uid))
        found = Builder(uid, uid, f"user {uid}, a number of no account", changes=True)
    if not (is_mapped(found.uid, "uid", str(_SELF)) and is_mapped(found.gid, "gid", str(_SELF))):
        raise NotPermitted("judge", f"root must not build an unknown patch, and the {found.name}, is not there in this user namespace", "run it as an ordinary user, or map more numbers")  # fmt: skip
    return found


def _is_taken(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def make_folder(path: Path, who: Builder) -> None:
    """A folder of that user's. NotPermitted where it belongs to another one, or cannot be reached by the builder."""
    shown = printable(str(path))
    if who.changes and (closed := _closed_above(path.resolve(), who)):
        raise NotPermitted(shown, f"{printable(str(closed))} is closed to the {who.name}, as which it is built", "name a folder that other users can reach")  # fmt: skip
    try:
        path.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise NotPermitted(shown, f"cannot be made ({error.strerror})", "name another folder") from None
    try:
        state = os.fstat(fd)
        if state.st_uid not in (who.uid, os.geteuid()):
            raise NotPermitted(shown, f"belongs to user {state.st_uid}", "name another folder")
        if who.changes and state.st_uid != who.uid:
            if os.listdir(fd):
                raise NotPermitted(shown, "belongs to root and is not empty", "name a new folder")
            os.fchown(fd, who.uid, who.gid)
    finally:
        os.close(fd)


def _closed_above(path: Path, who: Builder) -> Path | None:
    """The first folder on the way that this user cannot pass; those that are still to be made are open."""
    for folder in reversed(path.parents):
        try:
            state = os.stat(folder)
        except OSError:  # whoever makes the folder says why it cannot
            return None
        bit = stat.S_IXUSR if state.st_uid == who.uid else stat.S_IXGRP if state.st_gid == who.gid else stat.S_IXOTH
        if not state.st_mode & bit:
            return folder
    return None


def become_owner(folder: Path) -> Path:
    """From now on root is who owns the folder: what that user has put there is read with that user's rights, and no link
    in it leads further. Returns where to read it: a folder of root's own is read with all of root's rights, so that it is
    held open, lest its name lead to that of another user by then.

    NotPermitted for a root that cannot become another user, and for a folder of root's in which others can write."""
    if os.geteuid() != 0:
        return folder
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return folder  # whoever reads it says so
    state = os.fstat(fd)
    if state.st_uid == 0:
        if state.st_mode & stat.S_IWOTH or (state.st_mode & stat.S_IWGRP and state.st_gid):
            os.close(fd)
            raise NotPermitted(printable(str(folder)), "belongs to root, and other users can write in it", "run it as the user whose judgement that is")  # fmt: skip
        held = _SELF / "fd" / str(fd)
        if not held.is_dir():
            os.close(fd)
            raise NotPermitted(str(_SELF), "is not there", "mount /proc")
        return held
    os.close(fd)
    try:
        _become(state.st_uid, state.st_gid, [])
    except OSError:
        raise NotPermitted(printable(str(folder)), f"belongs to user {state.st_uid}, and this root cannot become another user", "run it as that user") from None  # fmt: skip
    no_new_privileges()
    return folder


def _become(uid: int, gid: int, groups: Sequence[int]) -> None:
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def confine(who: Builder, places: Sequence[Path]) -> list[str]:
    """From now on this process is ``who`` and writes only below ``places``. Returns what could not be closed."""
    open_still = []
    if who.changes:
        if _libc.unshare(_CLONE_NEWNET | _CLONE_NEWIPC):
            open_still.append(f"the network: {os.strerror(ctypes.get_errno())}")
        _become(who.uid, who.gid, _groups())
        hide_memory()
    no_new_privileges()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o022)
    programs.adopt_orphans()
    if why := landlock.write_only_below([*places, *map(Path, _DEVICES)]):
        open_still.append(f"files that the {who.name} may write elsewhere: {why}")
    elif not who.changes and landlock.version() < 4:
        open_still.append("the network, for programs of the build: this kernel's Landlock does not know TCP")
    return open_still


def _groups() -> list[int]:
    """That of /dev/kvm, so that guests can use it."""
    try:
        state = os.stat("/dev/kvm")
    except OSError:
        return []
    return [state.st_gid] if state.st_gid and state.st_mode & stat.S_IRGRP else []
