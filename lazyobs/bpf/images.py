# SPDX-License-Identifier: MIT
"""The images that come along with lazyobs, in lazyobs/images: made by `make images`, loaded without BCC.

They are part of the installation that is run, and trusted as its code is: a file that other users can write, or that
belongs to another user than the code and root, is refused.
"""

from __future__ import annotations

import os
import stat

from lazyobs.bpf.image import MOST_BYTES, Image, ImageError, source_of

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "images")
SUFFIX = ".img"


class NoImage(Exception):
    """There is no image of these sources; the text says why."""


def find(source: str, folder: str = FOLDER) -> tuple[Image, str]:
    """The image of the C text that has this hash (image.hash_of), and its file's name. NoImage where there is none that
    can be used."""
    why = f"{folder} has no images"
    for path in files(folder):
        try:
            raw = read(path)
            if source_of(raw) != source:
                why = "the probes were changed since the images were made (make images makes them again)"
                continue
            return Image.from_bytes(raw), os.path.basename(path)
        except (OSError, ImageError) as error:
            raise NoImage(f"{path}: {error.strerror if isinstance(error, OSError) else error}") from None
    raise NoImage(why)


def has(source: str, folder: str = FOLDER) -> bool:
    """Whether one of the files says that it is of that C text: it is likely that no compiler is needed."""
    for path in files(folder):
        try:
            if source_of(read(path)) == source:
                return True
        except (OSError, ImageError):
            pass
    return False


def files(folder: str = FOLDER) -> list[str]:
    """The image files of an installation, by name; none where it has none."""
    try:
        return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(SUFFIX))
    except OSError:
        return []


def read(path: str) -> bytes:
    """The content of a file that is as safe as the code. ImageError where it is not, OSError where it cannot be read."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO would wait for a writer
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("no regular file")
        if status.st_mode & stat.S_IWOTH:
            raise ImageError(f"other users can write it (mode {stat.S_IMODE(status.st_mode):o})")
        if status.st_uid not in (0, os.stat(__file__).st_uid):
            raise ImageError(f"it belongs to user {status.st_uid}, and neither to root nor to the owner of the code")
        return file.read(MOST_BYTES + 1)
