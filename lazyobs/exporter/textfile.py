# SPDX-License-Identifier: MIT
"""The page as a file, for machines that are scraped by way of node_exporter (its textfile collector).

The file is replaced at once, so that a reader sees a whole page. It is removed at an orderly end: node_exporter would
serve the last numbers for ever. After a crash ``node_textfile_mtime_seconds`` says how old they are.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from lazyobs.errors import NotPermitted
from lazyobs.exporter.application import Pages
from lazyobs.exporter.page import PageError
from lazyobs.text import printable, say
from lazyobs.unix import privileges


class Textfile:
    """``path`` of the page. Its directory is opened at once, and belongs to the user that root becomes, or to its group:
    nothing else is ever written there."""

    def __init__(self, path: Path, user: str) -> None:
        """``user``: who writes it, as in Settings. NotPermitted when the directory cannot be opened."""
        self.path, self._name, self._user = path, path.name, user
        try:
            self._fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._refusal(f"{printable(str(path.parent))} cannot be opened ({error.strerror})") from None

    def write(self, page: bytes) -> None:
        """NotPermitted when it cannot be written, or the disk is full."""
        temporary = f".{self._name}.new"  # node_exporter reads *.prom
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=self._fd)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            with open(os.open(temporary, flags, 0o644, dir_fd=self._fd), "wb") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(page)
            os.rename(temporary, self._name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except OSError as error:
            raise self._refusal(f"cannot be written ({error.strerror})") from None

    def _refusal(self, why: str) -> NotPermitted:
        owner = privileges.account(self._user).name
        next_step = f"name a file in a directory of the user {printable(owner)} (install -d -o {printable(owner)} DIR)"
        return NotPermitted(f"--textfile {printable(str(self.path))}", why, next_step)

    def remove(self) -> None:
        for name in (self._name, f".{self._name}.new"):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._fd)
        os.close(self._fd)


def keep(
    file: Textfile, pages: Pages, interval: float, first: bytes, clock: Callable[[], float] = time.monotonic
) -> NoReturn:
    """Writes ``first``, and another page every ``interval`` seconds, until a signal. A page that is missing leaves the
    file as it is, and is said once."""
    file.write(first)
    due, trouble = clock() + interval, ""
    while True:
        time.sleep(max(due - clock(), 0))
        due = max(due + interval, clock())
        try:
            file.write(pages.text())
            trouble = ""
        except PageError as error:
            if str(error) != trouble:
                trouble = str(error)
                say(f"lazyobs: no new page: {printable(trouble)}")
