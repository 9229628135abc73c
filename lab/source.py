# SPDX-License-Identifier: MIT
"""The kernel source trees: each unpacked once, with patch series applied and removed in place.

Only files whose contents change are written, so that the next build compiles as little as possible.
"""

from __future__ import annotations

import filecmp
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from .cache import root
from .errors import LabError
from .packages import BOOT_TOOLS, fetch, unpacking


def tree(package: str) -> Path:
    return root() / "tree" / package


def objects(package: str, arch: str = "amd64") -> Path:
    """A package's one object folder of an architecture: its variants are built in it in turn, and compile only what
    differs."""
    return root() / "obj" / (package if arch == "amd64" else f"{package}-{arch}")


def originals(package: str) -> Path:
    """Where the files that a series touches are kept as the package had them."""
    return tree(package).with_suffix(tree(package).suffix + ".originals")


def unpack(package: str, version: str, suite: str = "") -> Path:
    """The source tree of that version; the tree and objects of another version of the package are removed."""
    source = tree(package)
    stamp = source.parent / f"{package}.version"
    if source.is_dir() and stamp.is_file() and stamp.read_text() == version:
        return source
    for old in (source, originals(package), *(objects(package, arch) for arch in BOOT_TOOLS)):
        shutil.rmtree(old, ignore_errors=True)
    stamp.unlink(missing_ok=True)
    folder = fetch(package, version, suite)
    source.parent.mkdir(parents=True, exist_ok=True)
    tarball = folder / "usr" / "src" / f"{package}.tar.xz"
    unpacking(["tar", "-xf", str(tarball), "-C", str(source.parent)], tarball)
    shutil.rmtree(folder)  # 150 MB that are not read again
    stamp.write_text(version)
    return source


def touched(patches: Iterable[Path]) -> list[str]:
    """The files a series changes or adds, as paths inside the tree."""
    names: set[str] = set()
    for patch in patches:
        for line in patch.read_text().splitlines():
            found = re.match(r"(?:---|\+\+\+) [ab]/(\S+)", line)
            if found:
                names.add(found.group(1))
    return sorted(names)


def _patch(patch: Path, folder: Path, version: str) -> None:
    command = ["patch", "-p1", "--no-backup-if-mismatch", "-i", str(patch)]
    for extra in (["--dry-run", "--force"], ["--force", "--silent"]):
        result = subprocess.run(
            command + extra, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if result.returncode:
            raise LabError(
                f"{patch.name} does not apply to kernel source {version}: {failed_hunks(result.stdout)}; "
                "fit the patch to that version, or build where apt has one it was made for",
                result.stdout,
            )


def failed_hunks(output: str) -> str:
    """``mm/rmap.c hunk 3 (line 412)`` and so on, from the output of patch."""
    file, failures = "?", []
    for line in output.splitlines():
        found = re.match(r"(?:checking|patching) file (\S+)", line)
        if found:
            file = found.group(1)
        found = re.match(r"Hunk #(\d+) FAILED at (\d+)", line)
        if found:
            failures.append(f"{file} hunk {found.group(1)} (line {found.group(2)})")
        if "can't find file to patch" in line or "No file to patch" in line:
            failures.append("a file it changes is not there")
    return ", ".join(failures) or "patch gave no hunk"


def _original(source: Path, name: str, into: Path) -> None:
    """Copies a file as the package had it; a file that a patch adds has none."""
    kept = originals(source.name) / name
    absent = kept.with_name(kept.name + ".absent")
    if not kept.exists() and not absent.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).exists():
            shutil.copy2(source / name, kept)
        else:
            absent.touch()
    if kept.exists():
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(kept, into / name)


def restore(copy: Path, pristine: Path) -> None:
    """Makes a copy of a tree what the package had, whatever series was in the tree. ``pristine``: as ``originals``."""
    for kept in pristine.rglob("*") if pristine.is_dir() else ():
        name = str(kept.relative_to(pristine))
        if kept.is_file() and name.endswith(".absent"):
            (copy / name[: -len(".absent")]).unlink(missing_ok=True)
        elif kept.is_file():
            shutil.copy(kept, copy / name)


def apply_series(source: Path, patches: Sequence[Path], version: str) -> None:
    """Makes the tree that of the package plus exactly this series.

    Every patch is applied to copies first: when one fails the tree stays as it was.
    """
    names = set(touched(patches))
    pristine = originals(source.name)
    if pristine.is_dir():
        for kept in pristine.rglob("*"):
            if kept.is_file():
                name = str(kept.relative_to(pristine))
                names.add(name[: -len(".absent")] if name.endswith(".absent") else name)
    with tempfile.TemporaryDirectory(dir=root()) as scratch:
        folder = Path(scratch)
        for name in names:
            _original(source, name, folder)
        for patch in patches:
            _patch(patch, folder, version)
        for name in names:
            new, old = folder / name, source / name
            if not new.exists():
                old.unlink(missing_ok=True)
            elif not old.exists() or not filecmp.cmp(new, old, shallow=False):
                old.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(new, old)
