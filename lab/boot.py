# SPDX-License-Identifier: MIT
"""``lab/run``: boots a kernel of the table in QEMU and runs one command in it."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from . import roots
from .accel import NATIVE, accelerator
from .build import image, ready
from .cache import root
from .disks import Disks
from .errors import EMULATOR_FAILED, LAB_FAILED, LabError, reports_errors
from .guest import Guest, Limits
from .initramfs import initramfs
from .kernels import Kernel, default_name, kernel, table
from .qemu import HARDWARE, Machine, kernel_command_line
from .splats import splats

TIMED_OUT = 124
#: Mounted anew in the guest: it does not have the host's files there.
FRESH = ("/dev", "/proc", "/sys")
#: Variables of the caller that mean something in the guest too.
PASSED_ON = ("PATH", "TERM", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "COLUMNS", "LINES")
#: The same in a guest with a userland of its own, where the host's paths mean nothing.
PASSED_ON_TO_USERLAND = ("TERM", "COLUMNS", "LINES")
_SPOILT = (
    "the emulator ran a breakpoint that the kernel had already taken out of its code: no fault of the kernel, and no "
    "answer"
)
#: What a shell says of a command that an illegal instruction ended.
ILLEGAL_INSTRUCTION = 128 + signal.SIGILL


def _environment(extra: Sequence[str], share: str | None, userland: bool, arch: str) -> list[str]:
    passed_on = PASSED_ON_TO_USERLAND if userland else PASSED_ON
    known = {name: os.environ[name] for name in passed_on if name in os.environ}
    known.setdefault(
        "PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" if userland else "/usr/sbin:/usr/bin:/sbin:/bin"
    )
    if userland:
        checkout = str(roots.CHECKOUT)
        known.update(LANG="C.UTF-8", PYTHONPATH=checkout, LAZYOBS_LAB_CHECKOUT=checkout)
    known.update(HOME="/root", USER="root", TMPDIR="/tmp", PYTHONDONTWRITEBYTECODE="1", LAZYOBS_LAB="1")
    known.update(HARDWARE[arch].environment)
    if share:
        known["LAZYOBS_LAB_SHARE"] = "/mnt/share"
    for item in extra:
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise LabError(f"--env takes NAME=VALUE, not {item!r}")
        known[name] = value
    return [f"{name}={value}" for name, value in known.items()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab/run",
        description="Boots a kernel in QEMU with this machine's files, read-only, and runs COMMAND as root in the "
        "current directory. Its standard output, standard error and exit status are passed through.",
        epilog=f"exit status: COMMAND's; {TIMED_OUT} on time-out; {LAB_FAILED} when the kernel did not come up, "
        "died, or (--fail-on-splat) complained.",
    )
    parser.add_argument(
        "--kernel",
        default=default_name(),
        metavar="NAME",
        help="a kernel of lab/kernels.toml (default: $LAZYOBS_LAB_KERNEL or lab)",
    )
    parser.add_argument(
        "--root",
        metavar="NAME",
        help="a userland of lab/roots.toml instead of this machine's files; of those the guest then has this "
        "checkout alone, and `lazyobs` runs it",
    )
    parser.add_argument(
        "--disks",
        action="store_true",
        help="the root, the checkout and the share as disks, as for kernels without 9p: a guest that is suspended "
        "does not get 9p back",
    )
    parser.add_argument("--build", action="store_true", help="make the kernel's image first, where it is not there yet")
    parser.add_argument("--list", action="store_true", help="list the kernels and the roots, and end")
    parser.add_argument("--image", metavar="FOLDER", help="boot the image in this folder instead of the table's")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECS", help="of the whole run (default: 300)")
    parser.add_argument("--append", default="", metavar="CMDLINE", help="more kernel command line")
    parser.add_argument("--env", action="append", default=[], metavar="K=V", help="a variable for COMMAND")
    parser.add_argument("--share", metavar="DIR", help="this folder is /mnt/share in the guest, for writing")
    parser.add_argument("--stdin", action="store_true", help="pass standard input on to COMMAND")
    parser.add_argument(
        "--again",
        type=int,
        default=0,
        metavar="N",
        help="boot again, N times at most, when the emulator fails; COMMAND's output is then passed on at the end, "
        "and what it left in the shared folder stays there",
    )
    parser.add_argument("--cpus", type=int, default=2, metavar="N")
    parser.add_argument("--memory", type=int, default=2048, metavar="MIB")
    parser.add_argument("--nodes", type=int, default=2, metavar="N", help="NUMA nodes (default: 2)")
    parser.add_argument("--accel", choices=("auto", "kvm", "tcg"), default=os.environ.get("LAZYOBS_LAB_ACCEL", "auto"))
    parser.add_argument("--cpu", default="", metavar="MODEL", help="QEMU's model of the CPU, such as max")
    parser.add_argument("--icount", action="store_true", help="count instructions: deterministic, slower, one thread")
    parser.add_argument("--console", metavar="FILE", help="keep the kernel's console log here")
    parser.add_argument(
        "--fail-on-splat", action="store_true", help=f"exit {LAB_FAILED} when the kernel warned or worse during the run"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND [ARG...]")
    return parser


def _report(limits: Limits, guest: Guest, seen: Sequence[str]) -> None:
    for line in seen[:20]:
        print(f"lab: kernel splat: {line}", file=sys.stderr)
    if limits.console:
        Path(limits.console).write_text(guest.log)


def _tail(log: str, lines: int = 30) -> str:
    return "\n".join(log.splitlines()[-lines:])


def _check(options: argparse.Namespace) -> None:
    """LabError for what cannot work, before the boot."""
    if options.again and options.stdin:
        raise LabError("--again and --stdin: standard input is there once; leave one of them out")
    if options.share and not Path(options.share).is_dir():
        raise LabError(f"--share {options.share}: no such folder; make it first")
    top = "/" + os.getcwd().split("/")[1]
    if top in FRESH:
        raise LabError(
            f"{top} is the guest's own, without {os.getcwd()}; run from another folder, or give it with --share"
        )


def has_9p(folder: Path) -> bool:
    """Whether a kernel can mount folders of the host: Debian's cloud kernels cannot."""
    config = folder / "config"
    return not config.exists() or "\nCONFIG_9P_FS=" in config.read_text()


def _userland(row: Kernel, name: str | None, nine_p: bool) -> roots.Root | None:
    """The root that a guest gets; None for this machine's files. LabError where the kernel cannot have it."""
    name = name or row.root
    if not name:
        if not nine_p or row.arch != NATIVE:
            why = f"is for {row.arch}" if row.arch != NATIVE else "lacks 9p, and with it this machine's files"
            raise LabError(f"kernel {row.name} {why}; give it a root of its own: --root NAME")
        return None
    userland = roots.named(name)
    if userland.arch != row.arch:
        raise LabError(
            f"kernel {row.name} is for {row.arch}, root {name} for {userland.arch}; lab/run --list lists them"
        )
    return userland


@contextlib.contextmanager
def _disks(folder: Path, share: str | None) -> Iterator[Disks]:
    disks = Disks(folder, roots.CHECKOUT, Path(share).resolve() if share else None)
    try:
        yield disks
    finally:
        disks.close()


def _directory(userland: bool) -> str:
    """The command's: in a userland the checkout, where the current one is not in it."""
    here = Path.cwd()
    return str(here if not userland or here.is_relative_to(roots.CHECKOUT) else roots.CHECKOUT)


def run(options: argparse.Namespace) -> int:
    row = kernel(options.kernel)
    _check(options)
    folder = Path(options.image) if options.image else ready(row) if options.build else image(row)
    nine_p = has_9p(folder) and not options.disks
    userland = _userland(row, options.root, nine_p)
    environment = _environment(options.env, options.share, userland is not None, row.arch)
    if userland is None and (folder / "modprobe").is_dir():
        # the host may have no /lib/modules to mount on
        environment.append(f"MODPROBE_OPTIONS=-d {folder / 'modprobe'}")
    words = ["lab.userland"] if userland else []
    machine = Machine(
        kernel=folder / "vmlinuz",
        initramfs=initramfs(folder, row.arch),
        cpus=options.cpus,
        memory=options.memory,
        nodes=options.nodes,
        share=options.share,
        icount=options.icount,
        cmdline=kernel_command_line(row.cmdline, *words, options.append, arch=row.arch),
        arch=row.arch,
        cpu=options.cpu,
    )
    if userland is None:
        return _run(options, row, machine, environment)
    machine = replace(machine, root=str(roots.folder(userland)), checkout=str(roots.CHECKOUT))
    if nine_p:
        return _run(options, row, machine, environment)
    with _disks(Path(machine.root), options.share) as disks:
        images = tuple(path for path in (disks.root, disks.checkout, disks.share) if path)
        machine = replace(machine, disks=images, cmdline=machine.cmdline + " lab.disks")
        try:
            return _run(options, row, machine, environment)
        finally:
            disks.read_back()  # of a guest that died as well


@contextlib.contextmanager
def _output(held: bool) -> Iterator[tuple[BinaryIO, BinaryIO, Callable[[], None]]]:
    """Where a guest's two streams go, and what passes on what was held of them."""
    if not held:
        yield sys.stdout.buffer, sys.stderr.buffer, lambda: None
        return
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:

        def pass_on() -> None:
            for kept, stream in ((out, sys.stdout.buffer), (err, sys.stderr.buffer)):
                kept.seek(0)
                shutil.copyfileobj(kept, stream)
                stream.flush()

        yield out, err, pass_on


def _run(options: argparse.Namespace, row: Kernel, machine: Machine, environment: list[str]) -> int:
    if not options.icount:
        machine = replace(machine, accel=accelerator(machine) if options.accel == "auto" else options.accel)
    command = options.command[1:] if options.command[0] == "--" else options.command
    limits = Limits(seconds=options.timeout, console=options.console, stdin=options.stdin)
    for left in range(options.again, -1, -1):
        with _output(held=options.again > 0) as (out, err, pass_on):
            guest = Guest(machine, limits, out, err)
            status = guest.run(_directory(machine.checkout is not None), command, environment)
            if not guest.is_spoilt:
                pass_on()
                break
        print(f"lab: {_SPOILT}{'; it is booted again' if left else ''}", file=sys.stderr)
    else:
        raise LabError(f"kernel {row.name}: run it again, or with --again 2", _tail(guest.log), EMULATOR_FAILED)
    seen = splats(guest.log)
    _report(limits, guest, seen)
    if status is None:
        kept = root() / "console" / f"{row.name}.log"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(guest.log)
        raise LabError(f"kernel {row.name}: {guest.failure}; its console log is in {kept}", _tail(guest.log))
    if status == TIMED_OUT and guest.timed_out:
        print(f"lab: stopped after {options.timeout:g} s (--timeout)", file=sys.stderr)
    if status == ILLEGAL_INSTRUCTION:
        print(
            "lab: the command was ended by an illegal instruction (SIGILL): this guest's CPU has no such instruction; "
            "try another --cpu",
            file=sys.stderr,
        )
    if seen and options.fail_on_splat:
        raise LabError(
            f"kernel {row.name} complained {len(seen)} time(s) (--fail-on-splat), first: {seen[0]}",
            _tail(guest.log[max(0, guest.log.find(seen[0]) - 200) :], 60),
        )
    return status


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.list:
        for row in table().values():
            print(f"{row.name:18} {row.about}")
        for userland in roots.table().values():
            bcc = f"BCC {userland.bcc}" if userland.bcc else "no BCC"
            print(f"--root {userland.name:14} {userland.about}, {bcc}, Python {userland.python}")
        return 0
    if not options.command:
        parser.error("no COMMAND to run")
    return run(options)
