# SPDX-License-Identifier: MIT
"""Headers and archives that some of the kernel's own tests are built with, for the user that builds: this machine's, or
those of the distribution's package, unpacked and not installed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from lazyobs.judge import lab
from lazyobs.judge.confined import Builder, make_folder
from lazyobs.text import say

#: Package: a file of it that programs include.
PACKAGES = {"liburcu-dev": "urcu.h", "libnuma-dev": "numa.h"}


@dataclass(frozen=True)
class Library:
    """``top``: of its folders include and lib; None where it is missing, for the reason ``why_not``."""

    package: str
    top: Path | None
    why_not: str = ""

    def flags(self) -> list[str]:
        """For the compiler, of a library that is not missing."""
        return [f"-I{path}" for path in self._places("include")]

    def link(self) -> list[str]:
        return [f"-L{path}" for path in self._places("lib")]

    def _places(self, name: str) -> list[Path]:
        if self.top is None or self.top == Path("/usr"):
            return []
        return [path for path in (self.top / name, *(self.top / name).glob("*-linux-gnu")) if path.is_dir()]


def provide(cache: Path, who: Builder) -> dict[str, Library]:
    """Each of PACKAGES. Called before confine(), since it may have to fetch them."""
    return {package: _provided(package, header, cache, who) for package, header in PACKAGES.items()}


def _provided(package: str, header: str, cache: Path, who: Builder) -> Library:
    if (Path("/usr/include") / header).is_file() or any(Path("/usr/include").glob(f"*-linux-gnu/{header}")):
        return Library(package, Path("/usr"))
    place = cache / "libraries" / package
    if (place / "usr").is_dir():
        return Library(package, place / "usr")
    advice = f"{package} is not installed: apt-get install {package}"
    try:
        say(f"judge: fetching {package}, with which tests of the kernel's own are built")
        found, version = lab.packages.find((package,))
        folder = lab.packages.fetch(found, version)
    except (lab.errors.LabError, OSError):
        return Library(package, None, advice)
    for made in (cache / "libraries", place):
        make_folder(made, who)
    user = {"user": who.uid, "group": who.gid, "extra_groups": []} if who.changes else {}
    with subprocess.Popen(["tar", "-C", str(folder), "-cf", "-", "usr"], stdout=subprocess.PIPE) as reader:
        unpack = ["tar", "-C", str(place), "--no-same-owner", "-xf", "-"]
        done = subprocess.run(unpack, stdin=reader.stdout, capture_output=True, check=False, **user)  # type: ignore[call-overload]
    return Library(package, None, advice) if done.returncode or reader.returncode else Library(package, place / "usr")
