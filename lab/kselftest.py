# SPDX-License-Identifier: MIT
"""``make -C lab kselftest``: the kernel selftest of patches/selftests-mm-*.patch, built alone.

It needs the harness of a kernel source, any from 6.1 to 7.3: that of the lab's kernel, unpacked if none is.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import apt, packages
from .cache import LAB, content_hash, locked, made_once, root
from .errors import LabError, reports_errors
from .kernels import default_name, kernel
from .source import tree, unpack

PATCH = LAB / "patches/selftests-mm-find-every-mapping.patch"
PROGRAM = "anon_rmap"
_PLACE = f"tools/testing/selftests/mm/{PROGRAM}.c"
_HARNESS = "tools/testing/selftests/kselftest_harness.h"
#: As the kernel's W=1 has it for its own code, as far as the harness itself bears it.
FLAGS = ("-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-sign-compare")


def added_file(patch: str, name: str) -> str:
    """The contents of a file that a patch adds. LabError where it does not."""
    _, found, rest = patch.partition(f"\n+++ b/{name}\n")
    if not found:
        raise LabError(f"the patch does not add {name}; make it anew from the kernel's tree")
    lines = rest.split("\ndiff --git ", 1)[0].splitlines()
    return "".join(line[1:] + "\n" for line in lines if line.startswith("+"))


def source() -> Path:
    """A kernel source with the harness: the default kernel's, or any that lies there unpacked."""
    row = kernel(default_name())
    own = [tree(package) for package in row.packages]
    for place in (*own, *sorted((root() / "tree").glob("linux-source-*"))):
        if (place / _HARNESS).is_file():
            return place
    apt.of(row.suite, row.arch).update()
    package, version = packages.find(row.packages, row.release, row.suite, row.arch)
    with locked("build"):
        return unpack(package, version, row.suite)


def program(compiler: str = "gcc", place: Path | None = None) -> Path:
    """The compiled program, static, so that it runs in any guest. ``place``: a kernel source that has the harness."""
    place = place or source()
    text = added_file(PATCH.read_text(), _PLACE)

    def make(folder: Path) -> None:
        code = folder / f"{PROGRAM}.c"
        code.write_text(text)
        command = [
            compiler,
            *FLAGS,
            "-static",
            "-I",
            str((place / _HARNESS).parent),
            "-I",
            str(place / "tools/include"),
        ]
        result = subprocess.run(
            [*command, "-o", str(folder / PROGRAM), str(code), "-lpthread"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if result.returncode or result.stdout:
            raise LabError(f"{compiler} does not compile {PROGRAM}.c without a warning", result.stdout)

    return made_once(root() / "kselftest" / content_hash([text, compiler, place.name, *FLAGS]), make) / PROGRAM


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make -C lab kselftest", description=__doc__)
    parser.add_argument("--compiler", default="gcc")
    print(program(parser.parse_args(arguments).compiler))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
