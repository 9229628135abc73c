# SPDX-License-Identifier: MIT
"""Files named by the user: settings, profiles, thresholds, passwords. Only regular files, and only short ones."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_BYTES = 1 << 20


class Unusable(Exception):
    """The message says why, without the file's name: ``cannot be read (No such file or directory)``."""


def read_bytes(path: Path) -> bytes:
    """The content of a regular file of at most MOST_BYTES. Unusable otherwise."""
    try:
        return _bytes(path)
    except OSError as error:
        raise Unusable(f"cannot be read ({error.strerror})") from None
    except ValueError:  # Python's own words for it change with its version
        raise Unusable("cannot be read (its name holds a null character)") from None


def read_text(path: Path) -> str:
    """The same, decoded from UTF-8. Unusable otherwise."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unusable(f"cannot be read (byte {error.start} is not UTF-8)") from None


def read_toml(path: Path) -> dict[str, Any]:
    """The same, parsed as TOML. Unusable otherwise."""
    text = read_text(path)
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Unusable(f"is not TOML ({error})") from None
    except ValueError:  # int() takes 4,300 digits
        raise Unusable("holds a number of thousands of digits") from None
    return document


def _bytes(path: Path) -> bytes:
    # Nonblocking, because a FIFO may have no writer. A device never ends, and st_size means nothing in /proc: the bytes
    # are counted as they come.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"larger than {MOST_BYTES >> 20} MiB")
    return content
