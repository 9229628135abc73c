# SPDX-License-Identifier: MIT
"""``python setup/dist.py OUT``: an sdist of the checkout, and the wheel that is built of that sdist.

Both are built in a copy of the files that git knows, so that nothing else gets in, and nothing is left here. The same
commit gives the same bytes: times are $SOURCE_DATE_EPOCH, or the commit's.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_BUILD = "import sys; from setuptools import build_meta as b; print(getattr(b, 'build_' + sys.argv[1])(sys.argv[2]))"


def git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def files() -> list[str]:
    """Those of the checkout, or of an unpacked sdist."""
    if (ROOT / ".git").exists():
        return [name for name in git("ls-files", "-z").split("\0") if name and (ROOT / name).is_file()]
    return [
        str(file.relative_to(ROOT)) for file in ROOT.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    ]


def epoch() -> str:
    return os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct").strip()


def commit() -> str:
    if not (ROOT / ".git").exists():
        return (ROOT / "COMMIT").read_text()
    changed = git("status", "--porcelain", "--untracked-files=no").strip()
    return git("rev-parse", "HEAD")[:12] + (" modified" if changed else "") + "\n"


def build(kind: str, source: Path, out: Path) -> Path:
    """``kind``: sdist or wheel."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch(), "PYTHONPATH": ""}
    command = [sys.executable, "-c", _BUILD, kind, str(out)]
    done = subprocess.run(command, cwd=source, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"dist: {kind}: {done.stderr[-2000:]}")
    return out / done.stdout.split()[-1]


def settle(archive: Path) -> None:
    """The same order, owners and times, whoever packed it and when."""
    with tarfile.open(archive) as old:
        members = sorted(old.getmembers(), key=lambda member: member.name)
        with tempfile.TemporaryFile() as scratch:
            with tarfile.open(fileobj=scratch, mode="w", format=tarfile.PAX_FORMAT) as new:
                for member in members:
                    member.uid = member.gid = 0
                    member.uname = member.gname = "root"
                    member.mtime, member.pax_headers = int(epoch()), {}
                    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
                    new.addfile(member, old.extractfile(member) if member.isfile() else None)
            scratch.seek(0)
            packed = gzip.compress(scratch.read(), 9, mtime=0)
    archive.write_bytes(packed)


def main() -> None:
    os.umask(0o022)  # a wheel has the modes of the files
    out = Path(sys.argv[1]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, "checkout")
        for name in files():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
        (copy / "COMMIT").write_text(commit())
        sdist = build("sdist", copy, out)
        settle(sdist)
        subprocess.run(["tar", "-xf", str(sdist), "-C", scratch], check=True)
        wheel = build("wheel", Path(scratch, sdist.name.removesuffix(".tar.gz")), out)
    print(sdist, wheel, sep="\n")


if __name__ == "__main__":
    main()
