# SPDX-License-Identifier: MIT
"""The directory of a recording, through a descriptor: made while root, written as nobody.

It belongs to nobody, who writes it, and to the group of whoever called, who may read and delete it.
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
    """A new recording's directory. Names given are plain file names in it."""

    def __init__(self, path: str) -> None:
        """Makes it, and what it lies in, or takes an empty one of the caller's own. UsageError when something else of
        that name is there, NotPermitted when it cannot be made.

        It is locked for as long as it is open: of two recorders one gets it.
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
        """Takes it away again when nothing has been recorded, with the directories that were made for it."""
        try:
            for made in self._made:
                os.rmdir(made)
        except OSError:
            pass  # a recording, or what may not be removed any more
        self.close()

    def give_to_nobody(self) -> None:
        """Before root is given up; does nothing for others."""
        if os.geteuid() != 0:
            return
        group = int(os.environ.get("SUDO_GID", os.getegid()))
        os.fchown(self.fd, privileges.NOBODY, group)
        os.fchmod(self.fd, _MODE_SHARED)

    def create(self, name: str) -> int:
        """Descriptor of a new file, to write."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(name, flags, 0o640, dir_fd=self.fd)

    def open(self, name: str) -> int:
        """Descriptor of a file that is there, to read."""
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.fd)

    def publish(self, name: str, content: bytes) -> None:
        """The whole file or none of it, whenever the power goes."""
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
        """Nothing happens when it is not there."""
        try:
            os.unlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            pass

    def sizes(self) -> dict[str, int]:
        """{name: bytes} of the plain files."""
        found = {}
        # A descriptor of its own: two threads that list through one share its position, and both miss names.
        own = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
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

    def close(self) -> None:
        """Once or more often."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _missing(path: str) -> list[str]:
    """What has to be made for the directory to be there, the innermost first."""
    found = []
    while path and not os.path.lexists(path):
        found.append(path)
        path = os.path.dirname(path)
    return found


def _what_is_there(path: str) -> str:
    """Why there cannot be a directory."""
    if os.path.islink(path):
        return "is a link, and links are not followed"
    return "is there and is no directory" if os.path.lexists(path) else "would lie in what is no directory"


def _why_not_ours(fd: int) -> str:
    """Why a directory is not to be recorded into; it is given away to nobody, who may have it already."""
    owners = (os.geteuid(), int(os.environ.get("SUDO_UID", os.geteuid())), privileges.NOBODY)
    if os.fstat(fd).st_uid not in owners:
        return "belongs to somebody else"
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "is another recorder's"
    return "is not empty" if os.listdir(fd) else ""


def write_all(fd: int, content: bytes) -> None:
    """All of it. OSError(ENOSPC) also where the kernel takes nothing and says nothing."""
    view = memoryview(content)
    while view:
        written = os.write(fd, view)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view = view[written:]
