# SPDX-License-Identifier: MIT
"""A guest with another release's files, by 9p or from disks: what it has, and what comes back."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import roots
from lab.disks import copy_checkout
from tests.harness import ROOT
from tests.lab.guests import Run, need

pytestmark = pytest.mark.lab

LOOK = r"""
import json, os, platform, pwd, subprocess, sys
mounts = dict(line.split()[1:3] for line in open("/proc/mounts"))
open("/mnt/share/from-guest", "w").write("written")
def nobody():
    os.setgid(65534), os.setuid(65534)
    import click, duckdb, numpy.ma, pyarrow, scipy
ended = subprocess.run([sys.executable, "-c", "pass"], preexec_fn=nobody).returncode
print(json.dumps({
    "cwd": os.getcwd(), "python": ".".join(platform.python_version_tuple()[:2]), "root": mounts["/"],
    "usr": mounts["/usr"], "checkout": mounts[os.environ["LAZYOBS_LAB_CHECKOUT"]], "user": pwd.getpwuid(65534).pw_name,
    "share": open("/mnt/share/from-host").read(), "modules_of_nobody": ended == 0,
    "lazyobs": subprocess.run(["lazyobs", "--version"], capture_output=True, text=True).stdout.split(",")[0],
    "hosts": os.path.exists("/etc/apt/sources.list.d"),
}))
"""


@pytest.mark.parametrize(
    ("kernel", "root", "filesystem"),
    [("debian-7.3", "trixie", "9p"), ("debian-6.1-cloud", "bookworm", "ext4")],
)
def test_a_userland_is_what_was_promised(guest: Run, tmp_path: Path, kernel: str, root: str, filesystem: str) -> None:
    need(kernel, root)
    (tmp_path / "from-host").write_text("hello")
    options = ["--root", root, "--share", str(tmp_path), "--fail-on-splat"]
    result = guest(kernel, "python3", "-c", LOOK, options=options, cwd=ROOT, timeout=300)
    assert result.returncode == 0, result.stderr.decode()
    assert json.loads(result.stdout) == {
        "cwd": str(ROOT),
        "python": roots.named(root).python,
        "root": "tmpfs",
        "usr": filesystem,
        "checkout": filesystem,
        "user": "nobody",
        "share": "hello",
        "modules_of_nobody": True,
        "lazyobs": "lazyobs",
        "hosts": False,
    }
    assert (tmp_path / "from-guest").read_text() == "written"
    assert sorted(os.listdir(tmp_path)) == ["from-guest", "from-host"]


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """The checkout in a folder that every userland has and the guest may not write to."""
    need("debian-7.3", "trixie")
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="lazyobs-checkout-") as folder:
        copy_checkout(ROOT, Path(folder))
        yield Path(folder)


def test_a_checkout_may_lie_in_a_folder_of_the_userland(elsewhere: Path) -> None:
    words = ["lab/run", "--kernel", "debian-7.3", "--root", "trixie", "--again", "2", "--", "cat", "setup.cfg"]
    result = subprocess.run(words, cwd=elsewhere, capture_output=True, env={**os.environ, "PYTHONPATH": str(elsewhere)})
    assert (result.stdout, result.returncode) == ((ROOT / "setup.cfg").read_bytes(), 0), result.stderr.decode()
