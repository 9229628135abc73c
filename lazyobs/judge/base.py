# SPDX-License-Identifier: MIT
"""The kernel source that a series is for: Debian's package, a folder, or a tag of the git repository at hand."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lazyobs.errors import NotPermitted, NotSupported, UsageError
from lazyobs.judge import apply, lab
from lazyobs.judge.series import Series
from lazyobs.text import printable, say

_PACKAGE = re.compile(r"linux-source-\d+\.\d+")
_TAG = re.compile(r"(?!-)[A-Za-z0-9][\w./~^-]{0,200}")
_NEXT = "name a package (linux-source-7.3), a folder with a kernel's source, or a tag of the git repository you are in"
# What a kernel's source has at its top.
_SIGNS = ("Makefile", "Kconfig", "mm", "scripts")
# What a package's source is unpacked with.
_TOOLS = (("tar", "tar"), ("xz", "xz-utils"), ("dpkg-deb", "dpkg"))


@dataclass(frozen=True)
class Base:
    """``name``: as the user said it; ``version``: which exactly; ``key``: of its place in the cache.

    ``files``: to look into it; ``feed``: a command whose output, an archive of tar, is the tree. ``overlay``: called
    after that was unpacked, gives the folder of files that are to be put over it ("" for none), and files to remove.
    """

    name: str
    version: str
    key: str
    files: apply.Files
    feed: tuple[str, ...]
    overlay: Callable[[], tuple[str, list[str]]] = lambda: ("", [])


def named(name: str) -> Base:
    """The base of that name. UsageError where there is none, NotSupported where it cannot be had."""
    path = Path(name)
    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except PermissionError as error:
        raise NotPermitted(f"--base {printable(name)}", f"cannot be read ({error.strerror})", "make it readable") from None  # fmt: skip
    except (OSError, ValueError):
        is_folder = False
    if is_folder:
        return _of_folder(path)
    if _PACKAGE.fullmatch(name):
        return _of_package(name)
    if _TAG.fullmatch(name) and (commit := _commit(name)):
        return _of_commit(name, commit)
    raise UsageError(
        f"--base {printable(name)[:200]}", "is no folder, no package of a kernel's source and no tag here", _NEXT
    )


def fitting(series: Series) -> tuple[Base, str]:
    """The base where none was named, and why that one. UsageError where the series fits none of those at hand."""
    if series.base_commit and (commit := _commit(series.base_commit)):
        return _of_commit(series.base_commit[:12], commit), "its base-commit, which is in the repository here"
    tried: list[str] = []
    lacking = ""
    for name in _at_hand():
        try:
            base = named(name)
        except (NotSupported, UsageError) as error:
            lacking = lacking or f" ({error.what.removeprefix('--base ')}: {error.why})"
            continue
        done = apply.apply(series, base.files)
        if done.fits:
            others = f"; {', '.join(tried)} {'do' if len(tried) > 1 else 'does'} not fit" if tried else ""
            return base, f"the first source at hand that it applies to{others}"
        tried.append(f"{base.name} {base.version} ({done.failures[0]})")
    why = f"applies to none of the sources at hand: {'; '.join(tried)}" if tried else f"has no --base, and no source is at hand{lacking}"  # fmt: skip
    raise UsageError(
        "the series", why, "say --base " + ("COMMIT'S TREE" if series.base_commit else "PACKAGE, TREE or TAG")
    )


def _at_hand() -> Iterator[str]:
    """The folder here, if it is a kernel's source, and packages: unpacked ones first."""
    if _looks_like_a_kernel(Path(".")):
        yield "."
    packages = list(dict.fromkeys(package for row in lab.kernels.table().values() if row.kind == "built" for package in row.packages))  # fmt: skip
    yield from sorted(packages, key=lambda package: (not lab.source.tree(package).is_dir(), _release(package)))


def _release(package: str) -> list[int]:
    """The newest first."""
    return [-int(part) for part in re.findall(r"\d+", package)]


def is_fetched(name: str | None) -> bool:
    """Whether that base, or one that is looked for, may be a package's source, which takes minutes to fetch."""
    return name is None or (_PACKAGE.fullmatch(name) is not None and not os.path.isdir(name))


def _looks_like_a_kernel(path: Path) -> bool:
    return all(os.path.exists(path / sign) for sign in _SIGNS)


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _of_folder(path: Path) -> Base:
    shown = printable(str(path))
    if not _looks_like_a_kernel(path):
        raise UsageError(f"--base {shown}", f"is no kernel's source: it lacks {next(sign for sign in _SIGNS if not os.path.exists(path / sign))}", _NEXT)  # fmt: skip
    whole = path.resolve()
    commit = _commit("HEAD", whole) if (whole / ".git").exists() else ""
    try:
        version = _version_of(whole)
    except apply.NotPlain as error:
        raise UsageError(f"--base {shown}", f"its Makefile: {error}", _NEXT) from None
    exclude = tuple(f"--exclude={name}" for name in ("./.git", "*.o", "*.a", "*.ko", "*.cmd", "./vmlinux*"))
    feed = ("tar", "-C", str(whole), *exclude, "-cf", "-", ".")
    stamp = _stamp(whole)
    return Base(shown, f"{version}{' ' + commit[:12] if commit else ''}", _key("folder", str(whole), stamp), apply.Folder(whole), feed)  # fmt: skip


def _stamp(root: Path) -> str:
    """Changes when a file of the tree does: the newest times and the number of files."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in sorted(files):
            if name.endswith((".o", ".a", ".ko", ".cmd")):
                continue
            state = os.lstat(os.path.join(folder, name))
            digest.update(f"{os.path.relpath(os.path.join(folder, name), root)} {state.st_size} {state.st_mtime_ns}\n".encode())  # fmt: skip
    return digest.hexdigest()


def _version_of(root: Path) -> str:
    """ "7.3.4", of the tree's Makefile."""
    text = (apply.Folder(root).read("Makefile") or b"").decode("utf-8", "replace")
    found = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) = ?(\S*)$", text, re.M))
    numbers = [found.get(name, "") for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    return printable(".".join(filter(None, numbers)) + found.get("EXTRAVERSION", ""))[:64] or "unknown"


class _Pristine:
    """A package's source in the lab's cache, as the package had it: the lab may put a series in there at any time. It
    keeps the original of a file before it changes the file."""

    def __init__(self, package: str) -> None:
        self._tree = apply.Folder(lab.source.tree(package))
        self._originals = apply.Folder(lab.source.originals(package))

    def read(self, path: str) -> bytes | None:
        content = self._tree.read(path)
        if not self._originals.root.is_dir():
            return content
        if self._originals.read(path + ".absent") is not None:
            return None
        original = self._originals.read(path)
        return content if original is None else original

    def overlay(self) -> tuple[str, list[str]]:
        root = self._originals.root
        if not root.is_dir():
            return "", []
        absent = [str(path.relative_to(root)) for path in root.rglob("*.absent") if path.is_file()]
        return str(root), [*absent, *(name.removesuffix(".absent") for name in absent)]


def _of_package(package: str) -> Base:
    row = next((row for row in lab.kernels.table().values() if row.kind == "built" and package in row.packages), None)
    suite, release = (row.suite, row.release) if row else ("", "")
    try:
        if row is not None:
            lab.apt.of(row.suite, row.arch).update()
        found, version = _found(package, release, suite)
        if _unpacked(found) != version:
            if missing := lab.packages.missing(_TOOLS):
                raise lab.errors.LabError(f"to be unpacked it needs {' and '.join(missing)}: apt-get install {' '.join(missing)}")  # fmt: skip
            say(f"judge: fetching {found} {version} and unpacking it, which takes a minute or more")
            with lab.cache.locked("build"):
                lab.source.unpack(found, version, suite)
    except lab.errors.LabError as error:
        raise NotSupported(f"--base {package}", str(error), "or name a folder with a kernel's source") from None
    files = _Pristine(found)
    feed = ("tar", "-C", str(lab.source.tree(found)), "-cf", "-", ".")
    return Base(package, version, _key("package", found, version), files, feed, files.overlay)


def _unpacked(package: str) -> str:
    """The version of the package whose source is unpacked in the lab's cache; "" where none is."""
    stamp = lab.source.tree(package).parent / f"{package}.version"
    return stamp.read_text() if lab.source.tree(package).is_dir() and stamp.is_file() else ""


def _found(package: str, release: str, suite: str) -> tuple[str, str]:
    """(package, version): as apt has it or, without a network, as it was unpacked."""
    try:
        return lab.packages.find((package,), release, suite)
    except lab.errors.LabError:
        if version := _unpacked(package):
            return package, version
        raise


def _git(arguments: Sequence[str], folder: Path = Path(".")) -> bytes | None:
    """What git says; None where it fails, or is not there."""
    if not shutil.which("git"):
        return None
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=False)  # fmt: skip
    return done.stdout if done.returncode == 0 else None


def _commit(name: str, folder: Path = Path(".")) -> str:
    """The commit of that name here; "" where there is none."""
    found = _git(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"], folder)
    return found.decode().strip() if found else ""


class _Commit:
    def __init__(self, commit: str) -> None:
        self._commit = commit

    def read(self, path: str) -> bytes | None:
        listed = _git(["ls-tree", "-z", self._commit, "--", path])
        if not listed:
            return None
        if not listed.startswith(b"100"):
            raise apply.NotPlain("it is no regular file")
        return _git(["cat-file", "blob", f"{self._commit}:{path}"])


def _of_commit(name: str, commit: str) -> Base:
    files = _Commit(commit)
    if files.read("Kconfig") is None or files.read("mm/rmap.c") is None:
        raise UsageError(f"--base {printable(name)}", "is a commit, but of no kernel's source", _NEXT)
    feed = ("git", "-C", str(Path.cwd()), "archive", "--format=tar", commit)
    return Base(printable(name), commit[:12], _key("commit", commit), files, feed)
