# SPDX-License-Identifier: MIT
"""What the lab takes from apt: the tools it needs, kernel packages, kernel source."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from .cache import made_once, root
from .errors import LabError

#: Tool, package. A row that starts with a slash is looked for as a file instead of in $PATH.
BOOT_TOOLS = (
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("gcc", "gcc"),
    ("/usr/include/stdio.h", "libc6-dev"),
    ("/usr/share/seabios/bios-256k.bin", "seabios"),
)
UNPACK_TOOLS = (("depmod", "kmod"), ("xz", "xz-utils"), ("zstd", "zstd"))
BUILD_TOOLS = (
    ("make", "make"),
    ("gcc", "gcc"),
    ("ccache", "ccache"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("patch", "patch"),
    ("pahole", "dwarves"),
    ("cpio", "cpio"),
    ("lz4", "lz4"),
    ("xz", "xz-utils"),
    ("/usr/include/libelf.h", "libelf-dev"),
    ("/usr/include/openssl/opensslv.h", "libssl-dev"),
)


def _have(tool: str) -> bool:
    if tool.startswith("/"):
        return os.path.exists(tool) or any(Path("/usr/include").glob("*/" + tool[13:]))
    return shutil.which(tool) is not None or os.path.exists("/usr/sbin/" + tool)


def missing(tools: Iterable[Sequence[str]]) -> list[str]:
    """The packages of those tools that are missing."""
    return sorted({package for tool, package in tools if not _have(tool)})


def ensure(tools: Iterable[Sequence[str]]) -> None:
    """Installs what is missing, with sudo when not root."""
    wanted = missing(tools)
    if not wanted:
        return
    by_hand = "install them: apt-get install " + " ".join(wanted)
    if not shutil.which("apt-get"):
        raise LabError(f"the lab needs {', '.join(wanted)} and this system has no apt; {by_hand}")
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    command = [*prefix, "apt-get", "install", "-y", "--no-install-recommends", *wanted]
    result = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )
    if result.returncode:
        raise LabError(f"cannot install {', '.join(wanted)}; {by_hand}", result.stdout[-2000:])


def _show(package: str) -> list[str]:
    result = subprocess.run(
        ["apt-cache", "--no-all-versions", "show", package],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return result.stdout.splitlines()


def _field(lines: Iterable[str], name: str) -> str:
    for line in lines:
        if line.startswith(name + ": "):
            return line[len(name) + 2 :].strip()
    return ""


def _lists_stamp() -> str:
    """A text that changes whenever apt's lists do."""
    stamps = []
    for path in ("/var/lib/apt/lists", "/etc/apt/sources.list", "/etc/apt/sources.list.d"):
        with contextlib.suppress(OSError):
            stamps.append(os.stat(path).st_mtime_ns)
    return repr(stamps)


def find(packages: Sequence[str], contains: str = "") -> tuple[str, str]:
    """As ``_ask``, with the answer kept until apt's lists change."""
    memory = root() / "apt.json"
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        known = {}
    stamp, key = _lists_stamp(), " ".join([*packages, contains])
    if known.get("stamp") != stamp:
        known = {"stamp": stamp}
    if key not in known:
        known[key] = _ask(packages, contains)
        memory.parent.mkdir(parents=True, exist_ok=True)
        fresh = memory.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(known))
        fresh.replace(memory)
    package, version = known[key]
    return package, version


def _ask(packages: Sequence[str], contains: str) -> tuple[str, str]:
    """(package, version) of the first one that apt knows; a metapackage stands for the kernel it depends on.

    ``contains`` has to occur in the name of that package: linux-image-amd64 counts as 6.1 only where it is 6.1.
    """
    if not shutil.which("apt-cache"):
        raise LabError(f"cannot look for {packages[0]}: this system has no apt; use Debian or Ubuntu")
    for package in packages:
        lines = _show(package)
        depends = _field(lines, "Depends").split(",")[0].split(" ")[0].split("(")[0]
        if depends.startswith("linux-image-"):
            package, lines = depends, _show(depends)
        version = _field(lines, "Version")
        if version and contains in package:
            return package, version
    raise LabError(
        f"apt knows no {' or '.join(packages)}"
        + (f" with {contains} in its name" if contains else "")
        + "; run apt-get update, or use a distribution that has it"
    )


def fetch(package: str, version: str) -> Path:
    """The folder ``packages/PACKAGE_VERSION`` with the package's files, unpacked, not installed."""

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder.parent) as download:
            os.chmod(download, 0o755)
            result = subprocess.run(
                ["apt-get", "download", f"{package}={version}"],
                cwd=download,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            debs = list(Path(download).glob("*.deb"))
            if result.returncode or not debs:
                raise LabError(
                    f"cannot download {package} {version}; run apt-get update and try again",
                    result.stdout[-2000:],
                )
            subprocess.run(["dpkg-deb", "-x", str(debs[0]), str(folder)], check=True)

    return made_once(root() / "packages" / f"{package}_{version.replace('~', '-')}", make)
