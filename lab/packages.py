# SPDX-License-Identifier: MIT
"""What the lab takes from apt: the tools it needs, kernel packages, kernel source."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import apt as aptly
from .cache import made_once, root
from .errors import LabError

#: Tool, package. A row that starts with a slash is looked for as a file instead of in $PATH.
BOOT_TOOLS = {
    "amd64": (
        ("qemu-system-x86_64", "qemu-system-x86"),
        ("gcc", "gcc"),
        ("/usr/include/stdio.h", "libc6-dev"),
        ("/usr/share/seabios/bios-256k.bin", "seabios"),
    ),
    "arm64": (
        ("qemu-system-aarch64", "qemu-system-arm"),
        ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
        ("/usr/aarch64-linux-gnu/include/stdio.h", "libc6-dev-arm64-cross"),
    ),
}
UNPACK_TOOLS = (("depmod", "kmod"), ("xz", "xz-utils"), ("zstd", "zstd"), ("dpkg-deb", "dpkg"))
DISK_TOOLS = (("mke2fs", "e2fsprogs"),)
#: The C compiler for programs and kernels of an architecture.
COMPILERS = {"amd64": "gcc", "arm64": "aarch64-linux-gnu-gcc"}
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
        env={**aptly.without_config(), "DEBIAN_FRONTEND": "noninteractive"},
    )
    if result.returncode:
        raise LabError(f"cannot install {', '.join(wanted)}; {by_hand}", result.stdout[-2000:])


#: A kernel's own packages, which it may come in: Debian has parts from 6.19 on.
_PART = re.compile(r"linux-(image|binary|modules|base)-\d")


def _field(lines: Iterable[str], name: str) -> str:
    for line in lines:
        if line.startswith(name + ": "):
            return line[len(name) + 2 :].strip()
    return ""


def _needs(lines: Sequence[str]) -> list[str]:
    """Names of Pre-Depends and Depends, of alternatives the first."""
    text = ", ".join(filter(None, (_field(lines, name) for name in ("Pre-Depends", "Depends"))))
    return [re.split(r"[ (:|]", need.strip(), maxsplit=1)[0] for need in text.split(",") if need.strip()]


def is_release(name: str, release: str) -> bool:
    """Whether a package name has that kernel release in it: "6.1" is in linux-image-6.1.0-56-amd64, not in -6.12-."""
    return re.search(rf"(?<![\d.]){re.escape(release)}(?!\d)", name) is not None


def find(packages: Sequence[str], release: str = "", suite: str = "", arch: str = "amd64") -> tuple[str, str]:
    """As ``_ask``, with the answer kept until apt's lists change."""
    apt = aptly.of(suite, arch)
    memory = root() / "apt.json"
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        known = {}
    key, stamp = " ".join([*packages, release, suite, arch]), apt.stamp()
    answer = known.get(key)
    if not isinstance(answer, list) or len(answer) != 3 or answer[0] != stamp:
        if stamp == "never":
            raise LabError(f"the package lists of {suite} ({arch}) were never read; run: make lab")
        answer = [stamp, *_ask(apt, packages, release)]
        memory.parent.mkdir(parents=True, exist_ok=True)
        fresh = memory.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({**known, key: answer}))
        fresh.replace(memory)
    return answer[1], answer[2]


def _ask(apt: aptly.Apt, packages: Sequence[str], release: str) -> tuple[str, str]:
    """(package, version) of the first one that apt knows; a metapackage stands for the kernel it depends on.

    The name of that package has to have the ``release`` in it, where one is given.
    """
    if not shutil.which("apt-cache"):
        raise LabError(f"cannot look for {packages[0]}: this system has no apt; use Debian or Ubuntu")
    for package in packages:
        lines = apt.show(package)
        kernel = next((name for name in _needs(lines) if re.match(r"linux-image-\d", name)), "")
        if kernel and not _PART.match(package):
            package, lines = kernel, apt.show(kernel)
        version = _field(lines, "Version")
        if version and (not release or is_release(package, release)):
            return package, version
    raise LabError(
        f"apt knows no {' or '.join(packages)}"
        + (f" of release {release}" if release else "")
        + (f" in {apt.suite} ({apt.arch})" if apt.arch else "; run apt-get update, or use a distribution that has it")
    )


def parts(apt: aptly.Apt, package: str, version: str) -> list[tuple[str, str]]:
    """The package and the parts that its kernel comes in, as (name, version)."""
    found, waiting = {package: version}, [package]
    while waiting:
        for name in _needs(apt.show(waiting.pop())):
            if _PART.match(name) and name not in found:
                found[name] = _field(apt.show(name), "Version")
                waiting.append(name)
    return list(found.items())


def unpacking(command: Sequence[str], archive: Path) -> None:
    """Runs a command that unpacks ``archive``; LabError with the first thing it says where it fails."""
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        said, failed = done.stderr, done.returncode
    except OSError as error:
        said, failed = f"{command[0]}: {os.strerror(error.errno or 0)}", 1
    if failed:
        why = (said.strip().splitlines() or [f"exit status {failed}"])[0]
        raise LabError(f"cannot unpack {archive.name}: {why}")


def fetch(package: str, version: str, suite: str = "", arch: str = "amd64") -> Path:
    """The folder ``packages/PACKAGE_VERSION`` with the files of the package and its parts, unpacked, not installed."""
    apt = aptly.of(suite, arch)

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder.parent) as download:
            os.chmod(download, 0o755)
            for deb in apt.download(parts(apt, package, version), Path(download)):
                unpacking(["dpkg-deb", "-x", str(deb), str(folder)], deb)

    return made_once(root() / "packages" / f"{package}_{version.replace('~', '-')}", make)
