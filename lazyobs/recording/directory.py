# SPDX-License-Identifier: MIT
"""The directory of a recording, held by a descriptor: root creates it, the user that root becomes writes it.

Its owner is that user (unix/privileges.py); its group is the caller's, which may read and delete it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat

from lazyobs.errors import NotPermitted, UsageError
from lazyobs.text import printable
from lazyobs.unix import privileges

_MODE_SHARED, _MODE_OWN = 0o2770, 0o750


class Directory:
    """A new recording's directory. File names are relative to it and contain no slash."""

    def __init__(self, path: str) -> None:
        """Creates the directory and its missing parents, or takes an empty directory that the caller owns. UsageError
        when something else has that name, NotPermitted when the directory cannot be created.

        The directory stays locked while it is open: only one recorder can use it.
        """
        self.path = path
        shown = f"recording {printable(path)}"
        plain = path.rstrip("/")
        self._made = _missing(plain)
        try:
            os.makedirs(os.path.dirname(plain) or ".", exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(plain, _MODE_OWN)
            self.fd = os.open(plain, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(shown, _what_is_there(os.fsdecode(error.filename)), "name a new directory") from None
        except OSError as error:
            raise NotPermitted(shown, f"cannot be made ({error.strerror})", "name another place") from None
        why_not = _why_not_ours(self.fd)
        if why_not:
            self.close()
            raise UsageError(shown, why_not, "name a new directory")

    def discard(self) -> None:
        """If nothing was recorded, removes the directory and the parents that were created for it."""
        try:
            for made in self._made:
                os.rmdir(made)
        except OSError:
            pass  # it holds a recording, or we may no longer remove it
        self.close()

    def give_to_nobody(self) -> None:
        """Changes the owner to the user that root becomes (privileges.account), before that. Does nothing when the caller
        is not root, or stays it (privileges.why_not_nobody). NotPermitted where the owner cannot be changed.
        """
        if os.geteuid() != 0 or privileges.why_not_nobody():
            return
        group = int(os.environ.get("SUDO_GID", os.getegid()))
        who = privileges.account()
        try:
            os.fchmod(self.fd, _MODE_SHARED)  # first: afterwards only that user may, or CAP_FOWNER
            os.fchown(self.fd, who.uid, group)
        except OSError as error:
            what = f"recording {printable(self.path)}"
            why = f"cannot be given to the user {printable(who.name)}, who writes it ({error.strerror})"
            raise NotPermitted(what, why, "add CAP_CHOWN, or name a directory on another file system") from None

    def create(self, name: str) -> int:
        """Descriptor of a new file, for writing."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(name, flags, 0o640, dir_fd=self.fd)

    def open(self, name: str) -> int:
        """Descriptor of an existing file, for reading."""
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.fd)

    def publish(self, name: str, content: bytes) -> None:
        """Writes a file atomically: after a power failure it is either complete or absent."""
        temporary = name + ".new"
        self.remove(temporary)
        fd = self.create(temporary)
        try:
            write_all(fd, content)
            os.fsync(fd)
        finally:
            os.close(fd)
        self.rename(temporary, name)

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        os.fsync(self.fd)

    def remove(self, name: str) -> None:
        """Does nothing when the file does not exist."""
        try:
            os.unlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            pass

    def sizes(self) -> dict[str, int]:
        """{name: bytes} of the plain files; {} when the directory was removed."""
        found: dict[str, int] = {}
        # A separate descriptor: two threads that list through the same descriptor share its position and miss names.
        try:
            own = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        except FileNotFoundError:
            return found
        try:
            names = os.listdir(own)
        finally:
            os.close(own)
        for name in names:
            try:
                status = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                found[name] = status.st_size
        return found

    def is_gone(self) -> bool:
        """Whether the directory was removed; renamed, it is still there."""
        try:
            return os.fstat(self.fd).st_nlink == 0
        except OSError:  # of a network file system
            return True

    def close(self) -> None:
        """May be called more than once."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _missing(path: str) -> list[str]:
    """The directory and those of its parents that do not exist, innermost first."""
    found = []
    while path and not os.path.lexists(path):
        found.append(path)
        path = os.path.dirname(path)
    return found


def _what_is_there(path: str) -> str:
    """Why a directory cannot be created there."""
    if os.path.islink(path):
        return "is a link, and links are not followed"
    return "exists and is not a directory" if os.path.lexists(path) else "has a parent that is not a directory"


def _why_not_ours(fd: int) -> str:
    """Why a directory must not be used; it is chowned to the user `nobody`, who may own it already."""
    owners = (os.geteuid(), int(os.environ.get("SUDO_UID", os.geteuid())), privileges.account().uid)
    if os.fstat(fd).st_uid not in owners:
        return "belongs to somebody else"
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "is another recorder's"
    return "is not empty" if os.listdir(fd) else ""


def write_all(fd: int, content: bytes) -> None:
    """Writes all bytes. OSError(ENOSPC) also when the kernel writes 0 bytes without an error."""
    view = memoryview(content)
    while view:
        written = os.write(fd, view)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view = view[written:]
