# SPDX-License-Identifier: MIT
"""Where a recording is stored: a local directory, or a directory of an object store that pyarrow supports.

Both list names and open plain files; they ignore links, pipes and devices. The credentials of an object store come
from the environment, in the form that its own tools use.
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
    """A local directory, held by a descriptor; ``path`` is its name in messages."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise RecordingError(path, "there is no such directory", _NEXT_STEP) from None
        except NotADirectoryError:
            raise RecordingError(path, "is not a directory", _NEXT_STEP) from None
        except OSError as error:
            raise RecordingError(path, f"cannot be opened ({error.strerror})", "check its permissions") from None
        self._close = weakref.finalize(self, os.close, self._fd)

    def names(self) -> list[str]:
        """Names of the directory's entries."""
        return os.listdir(self._fd)

    def open(self, name: str) -> BinaryIO:
        """Opens a plain file. FileNotFoundError for anything else."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._fd)
        except OSError as error:
            raise FileNotFoundError(name) if isinstance(error, NotADirectoryError) else error from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise FileNotFoundError(name)
        return open(fd, "rb")

    def close(self) -> None:
        """Closes the descriptor; garbage collection of the object does the same."""
        self._close()


class Remote:
    """A directory, or a key prefix, of a pyarrow file system."""

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        from pyarrow import fs

        where = parts.netloc.rpartition("@")[2]
        self.path = f"{parts.scheme}://{where}{parts.path}"  # without the part that may hold a password
        try:
            self.system, self.base = fs.FileSystem.from_uri(uri)
            listed = self.system.get_file_info(fs.FileSelector(self.base))
            self._names = [found.base_name for found in listed if found.type == fs.FileType.File]
        except FileNotFoundError:
            raise RecordingError(self.path, "there is no such directory", _NEXT_STEP) from None
        except (OSError, ValueError) as error:  # pyarrow's errors are subclasses of both
            why = " ".join(str(error).split())[:200]
            raise RecordingError(self.path, f"cannot be opened ({why})", "check the credentials and the URI") from None

    def names(self) -> list[str]:
        return self._names

    def open(self, name: str) -> BinaryIO:
        file: Any = self.system.open_input_file(f"{self.base}/{name}")
        return cast(BinaryIO, file)

    def close(self) -> None:
        pass


def is_uri(path: str) -> bool:
    """Whether it is no path of this machine."""
    return _URI.match(path) is not None


def place(path: str) -> Local | Remote:
    """RecordingError when it is not there."""
    if not is_uri(path):
        return Local(path)
    if urlsplit(path).scheme == "file":
        return Local(unquote(urlsplit(path).path))
    return Remote(path)
