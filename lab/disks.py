# SPDX-License-Identifier: MIT
"""ext4 images for guests whose kernel has no 9p: the root, the checkout, the share.

The root's image is kept beside the root. The checkout's is made for each run (a few MB), and so is the share's, which
is also read back: what the command wrote there is on the host afterwards.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import packages
from .cache import locked
from .errors import LabError

#: Room for what a command writes to its share; the file is sparse.
_SHARE_ROOM = 512 << 20


def _bytes_of(folder: Path) -> int:
    """Bytes of an ext4 that holds the folder: each file rounded up to blocks, and an inode each."""
    total = 0
    for path, _, files in os.walk(folder):
        total += 4096 + sum((os.lstat(os.path.join(path, name)).st_size + 4095) // 4096 * 4096 + 512 for name in files)
    return total


def image_of(folder: Path, target: Path, room: int = 0) -> Path:
    """An ext4 image with the contents of a folder, and ``room`` bytes free."""
    packages.ensure(packages.DISK_TOOLS)
    size = (_bytes_of(folder) + room) * 11 // 10 + (16 << 20)
    command = ["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-m", "0", "-O", "^has_journal", "-I", "256"]
    command += ["-E", "root_owner=0:0", "-d", str(folder), str(target), str(size >> 12)]
    environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    if answer.returncode:
        target.unlink(missing_ok=True)
        raise LabError(f"cannot make an image of {folder} with mke2fs", answer.stdout[-2000:])
    return target


def root_image(folder: Path) -> Path:
    """The image of a root, made once."""
    target = folder.with_name(folder.name + ".ext4")
    with locked(target.name):
        if not target.exists():
            image_of(folder, target.with_name(target.name + ".new")).rename(target)
    return target


def checkout_files(checkout: Path) -> list[str]:
    """Paths of what belongs to the checkout: what git tracks, and new files that it does not ignore."""
    answer = subprocess.run(
        ["git", "-C", str(checkout), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    if answer.returncode == 0:
        return [os.fsdecode(name) for name in answer.stdout.split(b"\0") if name]
    found = []
    for path, folders, files in os.walk(checkout):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        found += [os.path.relpath(os.path.join(path, name), checkout) for name in files]
    return found


def copy_checkout(checkout: Path, folder: Path) -> None:
    """Copies checkout_files() to a folder. One that is tracked and gone is left out."""
    for name in checkout_files(checkout):
        source, target = checkout / name, folder / name
        if source.is_file() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


class Disks:
    """The images of one run, in the order of the guest's /dev/vda, vdb and vdc; removed by ``close``."""

    def __init__(self, root: Path, checkout: Path, share: Path | None) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="lazyobs-disks-"))
        self._share = share
        self.root = root_image(root)
        self.checkout = self._checkout(checkout)
        self.share = image_of(share, self._scratch / "share.ext4", _SHARE_ROOM) if share else None

    def _checkout(self, checkout: Path) -> Path:
        copy = self._scratch / "checkout"
        copy_checkout(checkout, copy)
        copy.chmod(0o755)
        return image_of(copy, self._scratch / "checkout.ext4")

    def read_back(self) -> None:
        """Copies what is in the share's image to the share."""
        if self._share is None:
            return
        answer = subprocess.run(
            ["/usr/sbin/debugfs", "-R", f'rdump / "{self._share}"', str(self.share)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if answer.returncode:
            raise LabError(f"cannot read back the share {self._share}", answer.stdout[-2000:])
        lost = self._share / "lost+found"
        if lost.is_dir() and not any(lost.iterdir()):
            lost.rmdir()

    def close(self) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)
