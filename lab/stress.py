# SPDX-License-Identifier: MIT
"""``make lab-stress``: the stress program, compiled and run in a lab kernel.

python3 -m lab.stress [--kernel NAME] [--seconds N] [-- OPTIONS OF THE PROGRAM]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from . import boot
from .cache import LAB, content_hash, made_once, root
from .errors import LabError, reports_errors
from .kernels import default_name

SOURCES = sorted((LAB / "stress").glob("*.[ch]"))
#: For the soft-offlined pages and three generations of children.
MEMORY_MIB = "3072"


def program() -> Path:
    """The compiled program."""

    def make(folder: Path) -> None:
        code = [str(path) for path in SOURCES if path.suffix == ".c"]
        command = ["gcc", "-O2", "-Wall", "-static", "-pthread", "-o", str(folder / "stress"), *code]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode:
            raise LabError("cannot compile the stress program; gcc and libc6-dev are needed", result.stdout)

    return made_once(root() / "stress" / content_hash(SOURCES), make) / "stress"


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m lab.stress", description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", default=default_name())
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--append", default="")
    parser.add_argument("--console")
    parser.add_argument("options", nargs="*")
    given = parser.parse_args(arguments)
    path = program()
    options = [
        "--kernel",
        given.kernel,
        "--fail-on-splat",
        "--memory",
        MEMORY_MIB,
        "--append",
        given.append,
        "--timeout",
        str(given.seconds * 2 + 300),
        # the cache may lie below /tmp, which the guest has of its own
        "--share",
        str(path.parent),
    ]
    if given.console:
        options += ["--console", given.console]
    # a module in the stock kernels
    script = 'modprobe -q zram num_devices=1; exec "$0" "$@"'
    return boot.main(
        [*options, "--", "sh", "-c", script, f"/mnt/share/{path.name}", "-t", str(given.seconds), *given.options]
    )


if __name__ == "__main__":
    sys.exit(main())
