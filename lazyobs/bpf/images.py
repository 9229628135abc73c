# SPDX-License-Identifier: MIT
"""Compiled images kept for the running boot, so that a second start needs no compiler.

They lie in a directory that only root may enter, on a file system that a reboot clears (addresses in
them are of this boot). Anything not owned by us, or open to others, is not trusted and not used.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile

from lazyobs.bpf.image import Image, ImageError

DIRECTORY = "/run/lazyobs"
_FORMAT = "1"
_KEPT = 4


def key(source: str) -> str:
    """Name of the image that ``source`` compiles to."""
    return hashlib.sha256(f"{_FORMAT}\n{source}".encode()).hexdigest()


def load(name: str, directory: str = DIRECTORY) -> Image | None:
    """The kept image, or None where there is none that can be trusted and read."""
    try:
        if not _is_ours(os.stat(directory, follow_symlinks=False)):
            return None
        fd = os.open(os.path.join(directory, name + ".image"), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb") as file:
        if not _is_ours(os.fstat(fd)):
            return None
        try:
            return Image.from_bytes(file.read())
        except ImageError:
            return None


def keep(name: str, image: Image, directory: str = DIRECTORY) -> bool:
    """Stores the image, oldest ones going. False where it cannot be kept, which costs a compile later."""
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if not _is_ours(os.stat(directory, follow_symlinks=False)):
            return False
        fd, path = tempfile.mkstemp(dir=directory)
        with open(fd, "wb") as file:
            file.write(image.to_bytes())
        os.replace(path, os.path.join(directory, name + ".image"))
        _drop_oldest(directory)
    except OSError:
        return False
    return True


def any_kept(directory: str = DIRECTORY) -> bool:
    """True when a start is likely to find its image."""
    try:
        return any(entry.endswith(".image") for entry in os.listdir(directory))
    except OSError:
        return False


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def _drop_oldest(directory: str) -> None:
    images = [entry for entry in os.scandir(directory) if entry.name.endswith(".image")]
    for entry in sorted(images, key=lambda entry: -entry.stat().st_mtime)[_KEPT:]:
        os.unlink(entry.path)
