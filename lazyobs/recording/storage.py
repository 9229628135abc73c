# SPDX-License-Identifier: MIT
"""Where a recording lies: a directory of this machine, or one of an object store that pyarrow knows.

Either gives names and plain files; links, pipes and devices are not there. A store's credentials are those of the
environment, as its own tools take them.
"""

from __future__ import annotations

import os
import re
import stat
import weakref
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from lazyobs.recording.errors import RecordingError

_URI = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_NEXT_STEP = "name one made by lazyobs record"


class Local:
    """A directory of this machine, held by a descriptor; ``path`` is its name in messages."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise RecordingError(path, "there is no such directory", _NEXT_STEP) from None
        except NotADirectoryError:
            raise RecordingError(path, "is no directory", _NEXT_STEP) from None
        except OSError as error:
            raise RecordingError(path, f"cannot be opened ({error.strerror})", "look at its permissions") from None
        self._close = weakref.finalize(self, os.close, self._fd)

    def names(self) -> list[str]:
        """Names of what the directory holds."""
        return os.listdir(self._fd)

    def open(self, name: str) -> BinaryIO:
        """A plain file. FileNotFoundError for anything else."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._fd)
        except OSError as error:
            raise FileNotFoundError(name) if isinstance(error, NotADirectoryError) else error from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise FileNotFoundError(name)
        return open(fd, "rb")

    def close(self) -> None:
        """A place that nobody holds any more does it by itself."""
        self._close()


class Remote:
    """A directory, or what passes for one, of a file system of pyarrow's."""

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        from pyarrow import fs

        where = parts.netloc.rpartition("@")[2]
        self.path = f"{parts.scheme}://{where}{parts.path}"  # without what may be a password
        try:
            self.system, self.base = fs.FileSystem.from_uri(uri)
            listed = self.system.get_file_info(fs.FileSelector(self.base))
            self._names = [found.base_name for found in listed if found.type == fs.FileType.File]
        except FileNotFoundError:
            raise RecordingError(self.path, "there is no such directory", _NEXT_STEP) from None
        except (OSError, ValueError) as error:  # pyarrow's own errors are both
            why = " ".join(str(error).split())[:200]
            raise RecordingError(
                self.path, f"cannot be opened ({why})", "look at the credentials and the URI"
            ) from None

    def names(self) -> list[str]:
        return self._names

    def open(self, name: str) -> BinaryIO:
        file: Any = self.system.open_input_file(f"{self.base}/{name}")
        return cast(BinaryIO, file)

    def close(self) -> None:
        pass


def place(path: str) -> Local | Remote:
    """RecordingError when it is not there."""
    if not _URI.match(path):
        return Local(path)
    if urlsplit(path).scheme == "file":
        return Local(unquote(urlsplit(path).path))
    return Remote(path)
