# SPDX-License-Identifier: MIT
"""One boot of an image in QEMU: a command in it, what it printed, and why the kernel died if it did.

The guest has this machine's files, read-only and as far as the user that builds may read them, a folder with the
programs that it runs, and no network.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lazyobs
from lazyobs import shipped
from lazyobs.errors import NotSupported
from lazyobs.judge import lab, programs
from lazyobs.text import printable

TIMED_OUT = 124
_MOST_OUTPUT = 32 << 20  # bytes of what a guest prints: it may be broken, or hostile
_MOST_SPLATS = 20
_MEMORY_MIB = 3072
_MOST_SPOILT = 3  # boots in a row that the emulator may fail in
_TOP = str(Path(lazyobs.__file__).resolve().parents[1])


class TooMuch(Exception):
    """A guest printed more than is kept."""


class _Limited(io.BytesIO):
    """``heard``: called with each line when it is there."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        super().__init__()
        self._heard = heard
        self._begun = b""

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > _MOST_OUTPUT:
            raise TooMuch
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            self._heard(line.decode("utf-8", "replace"))
        return super().write(data)


@dataclass(frozen=True)
class Boot:
    """``status``: of the command, None where the kernel failed, for the reason in ``failure``. ``hung``: the time was up."""

    status: int | None
    failure: str
    hung: bool
    up: bool
    splats: tuple[str, ...]
    output: str
    errors: str
    console: str


@dataclass(frozen=True)
class Job:
    """``append``: to the kernel's command line. ``counts``: the clock counts instructions (QEMU's -icount)."""

    command: tuple[str, ...]
    seconds: float
    append: str = ""
    counts: bool = False
    environment: tuple[str, ...] = ()


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """The words that run a module of this lazyobs in a guest."""
    return sys.executable, "-m", module, *arguments


def boot(image: Path, job: Job, share: Path, heard: Callable[[str], None] = lambda _line: None) -> Boot:
    """Boots the image, runs the job's command in it and waits for its end. ``share`` is /mnt/share there; ``heard``:
    called with each line that the command prints.

    NotSupported where this machine cannot run guests. Whatever is raised meanwhile, no guest is left. A boot that the emulator
    spoilt says nothing of the kernel, and is repeated.
    """
    machine = lab.qemu.Machine(
        kernel=image / "vmlinuz",
        initramfs=_initramfs(image),
        cmdline=lab.qemu.kernel_command_line(job.append, _own_words(image)),
        memory=_MEMORY_MIB,
        share=str(share),
        icount=job.counts,
    )
    limits = lab.guest.Limits(seconds=job.seconds)
    try:
        if not job.counts:
            machine = replace(machine, accel=lab.accel.accelerator(machine))
        for _ in range(_MOST_SPOILT):
            out, err = _Limited(heard), _Limited(lambda _line: None)
            guest = lab.guest.Guest(machine, limits, out, err)
            try:
                status = guest.run(_TOP, list(job.command), _environment(job))
            except TooMuch:
                status, guest.failure = None, f"printed more than {_MOST_OUTPUT >> 20} MiB"
            if not guest.is_spoilt:
                break
    except lab.errors.LabError as error:
        raise NotSupported("judge", f"this machine cannot run a guest: {error}", "see lazyobs help judge") from None
    if guest.is_spoilt:
        raise NotSupported(
            "judge", f"the emulator failed {_MOST_SPOILT} times in a row, so the kernel was not tried", "use KVM"
        )
    # A kernel that does not come up, and one that does not come to an end, both hang.
    hung = (status == TIMED_OUT and guest.timed_out) or (status is None and "did not come up in" in guest.failure)
    return Boot(
        status, printable(guest.failure), hung, guest.up,
        tuple(printable(line)[:300] for line in lab.splats.splats(guest.log)[:_MOST_SPLATS]),
        out.getvalue().decode("utf-8", "replace"), err.getvalue().decode("utf-8", "replace"), guest.log,
    )  # fmt: skip


def _own_words(image: Path) -> str:
    """What an image that was given wants on its command line: a switch, say, that makes two arms of one kernel."""
    file = image / "cmdline"
    return " ".join(file.read_text().split()) if file.is_file() else ""


def _initramfs(image: Path) -> Path:
    try:
        return lab.initramfs.initramfs(image)
    except lab.errors.LabError as error:
        raise NotSupported("judge", str(error), "install it") from None


def _environment(job: Job) -> list[str]:
    return [
        f"PATH={os.path.dirname(sys.executable)}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        f"PYTHONPATH={os.pathsep.join(shipped.module_path())}", "PYTHONDONTWRITEBYTECODE=1", "LANG=C.UTF-8", "HOME=/root", "USER=root", "TMPDIR=/tmp",
        "LAZYOBS_LAB=1", "LAZYOBS_LAB_SHARE=/mnt/share", "LAZYOBS_LOADER_SECONDS=900", *job.environment,
    ]  # fmt: skip


def share(cache: Path, sources: Path) -> Path:
    """The folder with the programs of a guest, compiled where they are not there. ``sources``: a kernel's tree, whose
    selftest harness is taken. NotSupported where they do not compile."""
    folder = cache / "lab" / "share"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        made = {
            "stress": lab.stress.program(),
            "anon_rmap": lab.kselftest.program(place=sources),
            "workload": lab.workload.program(),
        }
    except lab.errors.LabError as error:
        raise NotSupported("judge", str(error), "install gcc and libc6-dev") from None
    for name, program in made.items():
        programs.put(folder / name, program.read_bytes())
    return folder
