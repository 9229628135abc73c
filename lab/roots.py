# SPDX-License-Identifier: MIT
"""Userlands: whole roots of other releases and architectures, made of Debian's packages and PyPI's wheels.

A root is a folder into which packages were unpacked. None of their programs or scripts is run to make it, so that a
root of another architecture is made in the same way, in seconds; the few things that such scripts would have done and
a guest needs are done here. debootstrap would take minutes and, for another architecture, an emulator.
"""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import apt as aptly
from . import packages
from .cache import IS_CHECKOUT, LAB, content_hash, locked, made_once, root
from .errors import LabError
from .kernels import read_toml, row_of

TABLE = LAB / "roots.toml"
CHECKOUT = LAB.parent
#: Part of every content hash: raise it when a change here changes a root.
RECIPE = "1"
#: Links that a merged /usr has, made before anything is unpacked.
_MERGED = {"amd64": ("bin", "sbin", "lib", "lib32", "lib64", "libx32"), "arm64": ("bin", "sbin", "lib")}
#: Folders that a guest mounts something on.
_MOUNT_POINTS = ("dev", "proc", "sys", "run", "tmp", "mnt", "root", "home")
#: What pip calls the architecture, for wheels.
_PLATFORMS = {
    "amd64": ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "arm64": ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"),
}
_COMMAND = """#!/bin/sh
# lazyobs of the checkout that lab/run mounts and names in PYTHONPATH
exec /usr/bin/python3 -P -m lazyobs "$@"
"""


@dataclass(frozen=True)
class Root:
    """One row: see the head of ``roots.toml`` for what the columns mean."""

    name: str
    suite: str
    arch: str
    packages: tuple[str, ...]
    bcc: str
    python: str
    ci: bool
    about: str


def table(path: Path = TABLE) -> dict[str, Root]:
    """Every userland by name, in the order of the file."""
    rows = read_toml(path)["root"]
    return {name: Root(name=name, **row_of(name, rows)) for name in rows}


def named(name: str) -> Root:
    """The row of that name. LabError, with the names that exist, where there is none."""
    roots = table()
    if name not in roots:
        raise LabError(f"no root named {name!r} in {TABLE.name}; there are: {', '.join(roots)}")
    return roots[name]


def requirements() -> list[str]:
    """What lazyobs and its soak reports need from PyPI, as setup.cfg says. LabError in an installation."""
    if not IS_CHECKOUT:
        raise LabError(
            "a userland of the lab runs a checkout of lazyobs, and this is an installation; run lab/run there"
        )
    config = configparser.ConfigParser()
    config.read(CHECKOUT / "setup.cfg")
    lines = config["options"]["install_requires"] + config["options.extras_require"]["soak"]
    return [line.strip() for line in lines.splitlines() if line.strip()]


def _inputs(row: Root) -> str:
    return content_hash([RECIPE, row.suite, row.arch, row.python, *row.packages, *requirements()])


def folder(row: Root) -> Path:
    """The finished root. LabError, with what to run, where it was not made."""
    target = root() / "roots" / f"{row.name}-{_inputs(row)}"
    if not target.is_dir():
        raise LabError(f"root {row.name} is not made; run: make lab ROOT={row.name}")
    return target


def make(row: Root) -> Path:
    """The root, made when it is not there yet."""
    target = root() / "roots" / f"{row.name}-{_inputs(row)}"
    if target.is_dir():
        return target
    packages.ensure(packages.UNPACK_TOOLS)
    apt = aptly.Apt(row.suite, row.arch)
    apt.update()
    with locked(target.name):
        return made_once(target, lambda into: _make(row, apt, into))


def _make(row: Root, apt: aptly.Apt, into: Path) -> None:
    print(f"lab: making root {row.name}", file=sys.stderr, flush=True)
    for name in _MERGED[row.arch]:
        (into / "usr" / name).mkdir(parents=True, exist_ok=True)
        (into / name).symlink_to(f"usr/{name}")
    for deb in apt.with_dependencies(row.packages):
        _unpack(deb, into)
    for name in _MOUNT_POINTS:
        (into / name).mkdir(exist_ok=True)
    _settle(into)
    _wheels(row, into)
    _compile(row, into)


def _unpack(deb: Path, into: Path) -> None:
    """As dpkg-deb -x, which would put a folder in the place of the link that /lib is."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as files:
        tar = subprocess.run(["tar", "-xp", "--keep-directory-symlink", "-C", str(into)], stdin=files.stdout)
    if files.returncode or tar.returncode:
        raise LabError(f"{deb.name} is damaged; run make lab-clean and try again")


def _settle(into: Path) -> None:
    """What the scripts of these packages would have done."""
    for name in ("passwd", "group"):
        shutil.copy(into / f"usr/share/base-passwd/{name}.master", into / "etc" / name)
    shell = into / "usr/bin/sh"
    if not shell.exists():
        shell.symlink_to("dash")
    (into / "etc/hostname").write_text("lab\n")
    (into / "etc/hosts").write_text("127.0.0.1 localhost lab\n")
    command = into / "usr/local/bin/lazyobs"
    command.parent.mkdir(parents=True, exist_ok=True)
    command.write_text(_COMMAND)
    command.chmod(0o755)


def _pip() -> list[str]:
    own = CHECKOUT / ".venv/bin/python"
    return [str(own) if os.access(own, os.X_OK) else sys.executable, "-m", "pip"]


def _wheels(row: Root, into: Path) -> None:
    """Unpacks the wheels where Debian's python3 looks for modules that are not of a package."""
    target = into / "usr/local/lib" / f"python{row.python}" / "dist-packages"
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=root()) as scratch:
        command = [*_pip(), "install", "-q", "--disable-pip-version-check", "--no-compile", "--only-binary=:all:"]
        command += ["--target", scratch, "--python-version", row.python, "--implementation", "cp"]
        for platform in _PLATFORMS[row.arch]:
            command += ["--platform", platform]
        answer = subprocess.run(
            [*command, *requirements()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if answer.returncode:
            raise LabError(f"cannot get the wheels for root {row.name} with pip", answer.stdout[-2000:])
        shutil.copytree(scratch, target, dirs_exist_ok=True)
    target.chmod(0o755)  # as copied it would be root's alone, like the scratch folder


def _compile(row: Root, into: Path) -> None:
    """Byte-compiles: a guest cannot keep what it compiles, and would do so at each start.

    Bytecode depends on the version of Python alone, so that of another architecture is made by the root of this one.
    """
    if row.arch == "amd64":
        maker = into
    else:
        maker = make(next(other for other in table().values() if (other.suite, other.arch) == (row.suite, "amd64")))
    libraries = f"{maker}/usr/lib/x86_64-linux-gnu"
    # not by way of /lib64, whose link is absolute
    python = [f"{libraries}/ld-linux-x86-64.so.2", "--library-path", libraries, f"{maker}/usr/bin/python3"]
    folders = [into / "usr/lib" / f"python{row.python}", into / "usr/lib/python3/dist-packages", into / "usr/local/lib"]
    skipped = r"/(tests?|idlelib|lib2to3|plotly|_plotly_utils)/"
    answer = subprocess.run(
        [*python, "-m", "compileall", "-q", "-j2", "-x", skipped, "-s", str(into), "-p", "/", *map(str, folders)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PYTHONHOME": f"{maker}/usr", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )
    if answer.returncode not in (0, 1):  # 1: a file that is not meant for this Python
        raise LabError(f"cannot compile the Python modules of root {row.name}", answer.stdout[-2000:])


def made(rows: Sequence[Root]) -> None:
    """Makes several."""
    for row in rows:
        print(f"{row.name}: {make(row)}")
