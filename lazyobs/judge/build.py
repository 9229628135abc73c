# SPDX-License-Identifier: MIT
"""The images of an arm: configured as the lab's kernels are, built by ccache in one object folder for each flavour."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lazyobs.errors import NotSupported
from lazyobs.judge import lab, programs
from lazyobs.judge.apply import Applied
from lazyobs.judge.asked import DEBUG, PLAIN
from lazyobs.judge.series import Series
from lazyobs.judge.tree import Tree
from lazyobs.kernel import type_data
from lazyobs.text import printable
from lazyobs.unix.small_file import Unusable

#: Part of every image's name: raise it when a change of the build changes its output.
RECIPE = "1"
_FRAGMENTS = {PLAIN: (), DEBUG: ("debug.config",)}
# Without these a guest does not come up, or shows nothing.
ESSENTIAL = ("CONFIG_9P_FS", "CONFIG_NET_9P_VIRTIO", "CONFIG_VIRTIO_CONSOLE", "CONFIG_BPF_SYSCALL", "CONFIG_DEBUG_INFO_BTF")  # fmt: skip
_OPTION = re.compile(r"^(?:menu)?config (\w+)\s*$")
_KIND = re.compile(r"^\s+(?:def_)?(bool|tristate)\b")
# The first complaint of the compiler, the linker or make in a line.
_ERROR = re.compile(
    r"\S+:\d+(?::\d+)?: (?:fatal )?error: |ld: .*(?:undefined reference|error)|ERROR: |\S+:\d+: \*\*\* "
)
_MOST_LETTERS = 300
_FULL = "No space left on device"
_CONFIGURE_SECONDS, _BUILD_SECONDS = 900.0, 4 * 3600.0


class BuildFailed(Exception):
    """``why``: the compiler's first complaint; ``log``: where all of its output is."""

    def __init__(self, why: str, log: Path) -> None:
        super().__init__(why)
        self.why = why
        self.log = log


@dataclass(frozen=True)
class Image:
    """``folder`` holds vmlinuz, config, System.map, and btf where the kernel has types."""

    folder: Path
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def added_options(series: Series) -> list[str]:
    """The options of the configuration that a series adds and that can be switched on: "ANON_VMA_LAZY"."""
    found = []
    for change in (change for patch in series.patches for change in patch.changes):
        if not change.path.rpartition("/")[2].startswith("Kconfig"):
            continue
        for hunk in change.hunks:
            old = {line.decode("utf-8", "replace").rstrip("\n") for line in hunk.old}
            name = ""
            for line in (raw.decode("utf-8", "replace").rstrip("\n") for raw in hunk.new):
                if option := _OPTION.match(line):
                    name = option[1] if line not in old else ""
                elif name and _KIND.match(line):
                    found.append(name)
                    name = ""
    return list(dict.fromkeys(found))


def fragments(source: Path, flavour: str) -> list[Path]:
    """The lab's fragments that fit the tree, by what is in it."""
    config = lab.folder() / "config"
    names = ["base.config"]
    preempt = source / "kernel/Kconfig.preempt"
    if preempt.is_file() and "config PREEMPT_LAZY" in preempt.read_text(errors="replace"):
        names.append("7.3.config")
    return [config / name for name in (*names, *_FRAGMENTS[flavour])]


def key(tree: Tree, base_key: str, applied: Applied, flavour: str, options: Sequence[str]) -> str:
    """Of the finished image: the same for the same source, configuration and recipe."""
    parts: list[str | bytes | Path] = [RECIPE, base_key, flavour, *options, *fragments(tree.source, flavour)]
    for path, content in sorted(applied.files.items()):
        if content != applied.originals.get(path):
            parts += [path, b"gone" if content is None else content]
    return lab.cache.content_hash(parts)


class Builder:
    """Builds in a tree. ``tell(what, seconds)`` is called about twice a second."""

    def __init__(self, cache: Path, tree: Tree, logs: Path, tell: Callable[[str, float], None]) -> None:
        self._cache, self._tree, self._logs, self._tell = cache, tree, logs, tell

    def has(self, name: str) -> bool:
        return (self._cache / "images" / name).is_dir()

    def image(self, arm: str, base_key: str, applied: Applied, flavour: str, options: Sequence[str]) -> Image:
        """The arm's image, built where it is not there. BuildFailed where the source does not build; NotSupported
        where this machine cannot."""
        name = key(self._tree, base_key, applied, flavour, options)
        folder = self._cache / "images" / name
        if not folder.is_dir():
            with self._tree.locked():
                try:
                    self._tree.put(applied)
                    self._make(f"{arm}, {flavour}", flavour, options, folder)
                except (OSError, NoRoom) as error:
                    if isinstance(error, OSError) and not is_full(error):
                        raise
                    free = NoRoom(self._cache)
                    # What this build has filled the disk with is not left there.
                    for made in (self._tree.objects(flavour), Path(f"{folder}.making")):
                        shutil.rmtree(made, ignore_errors=True)
                    raise free from None
        made = json.loads((folder / "image.json").read_text())
        return Image(folder, tuple(made["notes"]), made["seconds"])

    def _make(self, what: str, flavour: str, options: Sequence[str], folder: Path) -> None:
        began = time.monotonic()
        objects = self._tree.objects(flavour)
        objects.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"build-{what.replace(', ', '-')}.log"
        log.write_bytes(b"")
        notes = self._configure(objects, flavour, options, log, what)
        self._run([*self._command(objects), f"-j{os.cpu_count() or 1}", "bzImage"], log, what, _BUILD_SECONDS)
        making = Path(f"{folder}.making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        shutil.copy(objects / "arch/x86/boot/bzImage", making / "vmlinuz")
        shutil.copy(objects / ".config", making / "config")
        shutil.copy(objects / "System.map", making / "System.map")
        with contextlib.suppress(Unusable):
            (making / "btf").write_bytes(type_data.read(objects / "vmlinux").btf)
        seconds = round(time.monotonic() - began, 1)
        (making / "image.json").write_text(json.dumps({"what": what, "seconds": seconds, "notes": notes}))
        making.rename(folder)

    def _configure(self, objects: Path, flavour: str, options: Sequence[str], log: Path, what: str) -> list[str]:
        """Returns what the tree refused."""
        wanted = fragments(self._tree.source, flavour)
        notes: list[str] = []
        if options:
            own = objects / "series.config"
            own.write_text("".join(f"{line}\n" for line in options))
            wanted.append(own)

        def refuses(refused: list[str]) -> None:
            if lost := [line for line in refused if line.partition("=")[0] in ESSENTIAL and not line.endswith("=n")]:
                raise BuildFailed(f"its configuration refuses {', '.join(lost)}, without which no guest comes up", log)
            notes.extend(f"its configuration does not take {line}" for line in refused)

        def run(command: Sequence[str]) -> None:
            self._run(command, log, what, _CONFIGURE_SECONDS)

        lab.configure.configure(self._tree.source, objects, wanted, self._command, run, refuses)
        return notes

    def _command(self, objects: Path) -> list[str]:
        compiler = "CC=ccache gcc" if shutil.which("ccache") else "CC=gcc"
        return ["make", "-C", str(self._tree.source), f"O={objects}", compiler]

    def _run(self, command: Sequence[str], log: Path, what: str, limit: float) -> None:
        begin = log.stat().st_size
        done = programs.run(command, log, limit, environment(self._cache), lambda seconds: self._tell(what, seconds))
        if done.status == 0:
            return
        with open(log, "rb") as file:
            file.seek(begin)
            said = file.read().decode("utf-8", "replace")
        if _FULL in said:
            raise NoRoom(self._cache)
        if done.flooded:
            raise BuildFailed(f"printed more than {programs.MOST_PRINTED >> 20} MiB", log)
        if done.status is None:
            raise BuildFailed(f"was not done after {limit / 60:.0f} minutes", log)
        raise BuildFailed(complaint(said), log)


def environment(cache: Path) -> dict[str, str]:
    """What makefiles are given: the same each time, so that the same source gives the same kernel."""
    temporary = cache / "tmp"
    temporary.mkdir(exist_ok=True)
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "HOME": str(temporary), "TMPDIR": str(temporary),
        "KBUILD_BUILD_USER": "lazyobs", "KBUILD_BUILD_HOST": "judge", "KBUILD_BUILD_VERSION": "1", "KBUILD_BUILD_TIMESTAMP": "judge",
        "CCACHE_DIR": str(cache / "ccache"), "CCACHE_MAXSIZE": "4G", "CCACHE_COMPRESS": "1",
    }  # fmt: skip


def complaint(said: str) -> str:
    """The first error in the output of make, as one line."""
    lines = [line[:_MOST_LETTERS] for line in said.splitlines() if line.strip()]
    found = next((line for line in lines if _ERROR.match(line)), lines[-1] if lines else "make failed without a word")
    return printable(" ".join(found.split()))


class NoRoom(NotSupported):
    """The disk is full. ``place``: a folder on it."""

    def __init__(self, place: Path) -> None:
        state = os.statvfs(place)
        free = state.f_bavail * state.f_frsize
        super().__init__("judge", f"the disk is full: {free >> 20} MiB are free in {printable(str(place))}", "make room, or name another folder with --cache")  # fmt: skip


def is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
