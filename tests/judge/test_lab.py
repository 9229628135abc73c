# SPDX-License-Identifier: MIT
"""The lab's modules and files as judge finds them: beside the package, and nowhere else."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

from tests.harness import ROOT


def test_a_folder_of_that_name_elsewhere_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/__init__.py").write_text("raise SystemExit('taken')\n")
    program = "from lazyobs.judge import lab; print(lab.kernels.__name__, lab.kernels.__file__, lab.folder())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.stdout.split() == ["lazyobs.lab.kernels", str(ROOT / "lab/kernels.py"), str(ROOT / "lab")], done.stderr


def test_what_it_reads_there_is_packed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    patterns = [one.strip() for one in setup["options.package_data"]["lazyobs.lab"].split(",")]
    needed = [*(ROOT / "lab/config").iterdir(), *(ROOT / "lab/stress").iterdir(), *(ROOT / "lab/guest").glob("*.c"), *(ROOT / "lab/patches").iterdir()]  # fmt: skip
    names = [str(file.relative_to(ROOT / "lab")) for file in needed]
    assert len(names) > 11
    assert [name for name in names if not any(fnmatch(name, pattern) for pattern in patterns)] == []
