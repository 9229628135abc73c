# SPDX-License-Identifier: MIT
"""An rpm of the wheel: ``python3 packages/rpm/build.py WHEEL OUT``. It has what the Debian package has; needs rpmbuild.

The same inputs give the same bytes: times are $SOURCE_DATE_EPOCH, or the wheel's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "deb"))

import build as deb  # noqa: E402

SPEC = HERE / "lazyobs.spec"


def fill(tree: Path, asked: argparse.Namespace) -> None:
    """The files in their places."""
    deb.fill_host(tree, asked)
    deb.put(tree, "usr/share/licenses/lazyobs/copyright", (deb.HERE / "copyright").read_text())


def build(asked: argparse.Namespace, epoch: int) -> Path:
    """The finished package."""
    number = deb.version(asked.wheel)
    with tempfile.TemporaryDirectory() as scratch:
        tree, top = Path(scratch, "tree"), Path(scratch, "top")
        tree.mkdir()
        fill(tree, asked)
        deb.settle(tree, epoch)
        (top / "SOURCES").mkdir(parents=True)
        source = top / "SOURCES" / f"lazyobs-{number}-files.tar"
        order = ("--sort=name", "--owner=0", "--group=0", "--numeric-owner")
        subprocess.run(["tar", "-cf", source, "-C", tree, *order, "."], check=True)
        defines = {
            "_topdir": str(top),
            "lazyobs_version": number,
            "lazyobs_packager": deb.MAINTAINER,
            "lazyobs_date": _date(epoch),
            "_buildhost": "lazyobs",
            "use_source_date_epoch_as_buildtime": "1",
            "clamp_mtime_to_source_date_epoch": "1",
            "_binary_payload": "w6.xzdio",
        }
        words = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
        command = ["rpmbuild", "-bb", "--quiet", "--target", "noarch", *words, str(SPEC)]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise SystemExit(f"rpmbuild failed:\n{done.stdout[-3000:]}")
        (made,) = (top / "RPMS/noarch").glob("*.rpm")
        return Path(shutil.copy(made, asked.out))


def _date(epoch: int) -> str:
    """ "Fri Nov 27 2026", whatever the locale."""
    day = datetime.fromtimestamp(epoch, timezone.utc).ctime()
    return f"{day[:10]} {day[-4:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    if not shutil.which("rpmbuild"):
        raise SystemExit("rpm: rpmbuild is not installed; apt install rpm, or dnf install rpm-build")
    asked.out.mkdir(parents=True, exist_ok=True)
    print(build(asked, deb.epoch(asked.wheel)))


if __name__ == "__main__":
    main()
