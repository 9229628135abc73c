# SPDX-License-Identifier: MIT
"""The lab's own apt: it reads suites of Debian that this machine does not use, and leaves the machine's apt alone.

It has a configuration, sources, lists, status and cache of its own below the lab's cache, one set for each suite and
architecture. From the machine it takes the address of the mirror and how to reach it (Acquire), nothing else. It only
updates its lists, asks and downloads: nothing is installed with it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .cache import locked, root
from .errors import LabError

#: What a suite of kernels.toml and roots.toml is read from: (suite, whether it is in the security archive).
SUITES: dict[str, tuple[tuple[str, bool], ...]] = {
    "bookworm": (("bookworm", False), ("bookworm-updates", False), ("bookworm-security", True)),
    "bookworm-backports": (("bookworm-backports", False),),
    "trixie": (("trixie", False), ("trixie-updates", False), ("trixie-security", True)),
    "trixie-backports": (("trixie-backports", False),),
    "forky": (("forky", False),),
    "sid": (("sid", False),),
}
#: Names under which a machine's sources may have a suite of the main archive.
_DEBIAN = re.compile(r"(bullseye|bookworm|trixie|forky|sid|(old)*stable|testing|unstable)(-updates|-backports)?$")
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
#: Lists older than this are read anew before something is made of them; in seconds.
_FRESH = 86400.0


def without_config() -> dict[str, str]:
    """The environment without APT_CONFIG: what the machine installs comes from the machine's own sources."""
    return {name: value for name, value in os.environ.items() if name != "APT_CONFIG"}


def _run(command: Sequence[str], env: dict[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, env=env, cwd=cwd
    )


def mirrors() -> tuple[str, str]:
    """(main archive, security archive) of Debian as the machine's own sources have them. LabError without any."""
    if not shutil.which("apt-get"):
        raise LabError("this system has no apt: the lab takes kernels and userlands from Debian; use Debian or Ubuntu")
    answer = _run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"], without_config()
    )
    main = security = ""
    for line in answer.stdout.splitlines():
        suite, _, address = line.partition(" ")
        if suite.endswith(("-security", "/updates")):
            security = security or address
        elif _DEBIAN.match(suite):
            main = main or address
    if not main:
        raise LabError("apt's sources name no Debian mirror, from which the lab takes kernels and userlands; add one")
    return main, security or main.rstrip("/") + "-security/"


def sources(suite: str) -> list[str]:
    """The lines of sources.list for a suite."""
    main, security = mirrors()
    return [
        f"deb [signed-by={_KEYRING}] {security if is_security else main} {name} main"
        for name, is_security in SUITES[suite]
    ]


@dataclass(frozen=True)
class Apt:
    """apt for one suite and architecture."""

    suite: str
    arch: str = "amd64"

    @property
    def folder(self) -> Path:
        return root() / "apt" / f"{self.suite}-{self.arch}"

    def stamp(self) -> str:
        """A text that changes whenever the lists do."""
        try:
            return str((self.folder / "updated").stat().st_mtime_ns)
        except OSError:
            return "never"

    def _environment(self) -> dict[str, str]:
        # APT_CONFIG of this one command: it names no file of /etc but the machine's passwords for its mirrors
        return {**without_config(), "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C.UTF-8"}

    def _configure(self) -> None:
        if self.suite not in SUITES:
            raise LabError(f"no suite {self.suite!r}; there are: {', '.join(SUITES)}")
        folder = self.folder
        for name in ("state/lists/partial", "cache/archives/partial", "none"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text("\n".join([*sources(self.suite), ""]))
        reached = [
            line
            for line in _run(["apt-config", "dump"], without_config()).stdout.splitlines()
            if line.startswith("Acquire::") and not line.startswith(("Acquire::IndexTargets", "Acquire::Languages"))
        ]
        own = {
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": str(folder / "none"),
            "Dir::Etc::sourcelist": str(folder / "sources.list"),
            "Dir::Etc::sourceparts": str(folder / "none"),
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": str(folder / "none"),
            "Dir::State": str(folder / "state"),
            "Dir::State::status": str(folder / "status"),
            "Dir::Cache": str(folder / "cache"),
            "APT::Architecture": self.arch,
            "APT::Architectures": self.arch,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
        }
        (folder / "apt.conf").write_text(
            "\n".join([*reached, *(f'{key} "{value}";' for key, value in own.items()), ""])
        )

    def update(self, at_least: float = _FRESH) -> None:
        """Reads the lists anew if they are older than ``at_least`` seconds."""
        with locked(f"apt-{self.folder.name}"):
            stamp = self.folder / "updated"
            if stamp.exists() and time.time() - stamp.stat().st_mtime < at_least:
                return
            self._configure()
            answer = _run(["apt-get", "update", "-q"], self._environment())
            if answer.returncode or re.search(r"^[EW]: ", answer.stdout, re.MULTILINE):
                raise LabError(
                    f"cannot read the package lists of {self.suite} ({self.arch}); is its mirror reachable, and is "
                    f"debian-archive-keyring new enough for it?",
                    answer.stdout[-2000:],
                )
            stamp.touch()

    def show(self, package: str) -> list[str]:
        """The newest version's fields, as lines; none where there is no such package."""
        command = ["apt-cache", "--no-all-versions", "show", package]
        answer = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self._environment()
        )
        return answer.stdout.split("\n\n")[0].splitlines()

    def names(self, prefix: str) -> list[str]:
        """Packages whose names begin so, as apt has them now."""
        return sorted(_run(["apt-cache", "pkgnames", prefix], self._environment()).stdout.split())

    def download(self, packages: Iterable[tuple[str, str]], into: Path) -> list[Path]:
        """The .deb files of (name, version), in a folder."""
        wanted = [f"{name}={version}" for name, version in packages]
        answer = _run(["apt-get", "download", "-q", *wanted], self._environment(), into)
        found = sorted(into.glob("*.deb"))
        if answer.returncode or len(found) < len(wanted):
            raise LabError(
                f"cannot download {' '.join(wanted)} of {self.suite} ({self.arch}); "
                "run make lab again: its lists are read anew when they are a day old",
                answer.stdout[-2000:],
            )
        return found

    def with_dependencies(self, packages: Sequence[str]) -> list[Path]:
        """The .deb files of the packages and of all that they depend on, down to the C library."""
        archives = self.folder / "cache" / "archives"
        command = ["apt-get", "install", "-q", "-y", "--download-only", "--no-install-recommends", *packages]
        with locked(f"apt-{self.folder.name}"):
            for old in archives.glob("*.deb"):
                old.unlink()
            answer = _run(command, self._environment())
            found = sorted(archives.glob("*.deb"))
        if answer.returncode or not found:
            raise LabError(f"cannot download {' '.join(packages)} of {self.suite} ({self.arch})", answer.stdout[-2000:])
        return found


class HostApt(Apt):
    """The machine's own apt and sources, for rows that name no suite."""

    def __init__(self) -> None:
        super().__init__("host", "")

    def stamp(self) -> str:
        stamps = []
        for path in ("/var/lib/apt/lists", "/etc/apt/sources.list", "/etc/apt/sources.list.d"):
            try:
                stamps.append(os.stat(path).st_mtime_ns)
            except OSError:
                continue
        return repr(stamps)

    def _environment(self) -> dict[str, str]:
        return without_config()

    def update(self, at_least: float = _FRESH) -> None:
        """The machine's lists are the machine's business."""


def of(suite: str, arch: str) -> Apt:
    """apt for a row's suite; the machine's own where it names none."""
    return Apt(suite, arch) if suite else HostApt()
