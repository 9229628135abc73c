# SPDX-License-Identifier: MIT
"""setup/install: what a look at this machine takes, and the whole; nothing is done twice, and nothing by halves undone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness import ROOT

PIP = '#!/bin/sh\necho "pip $*" >>"$LOG"\n'
# Of Debian: python3 alone is installed, and every package can be.
PROGRAMS = {
    "apt-get": '#!/bin/sh\necho "apt-get $*" >>"$LOG"\n',
    "apt-cache": "#!/bin/sh\necho '  Candidate: 1'\n",
    "dpkg-query": '#!/bin/sh\nfor name; do :; done\n[ "$name" != python3 ] || echo installed\n',
}


class Machine:
    """A copy of what setup/install reads, with programs that write down what they are asked for."""

    def __init__(self, place: Path) -> None:
        self.place, self.log = place, place / "log"
        for name in ("setup.cfg", "pyproject.toml", "setup/install", "setup/common.sh"):
            (place / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, place / name)
        for name, text in {**{f"bin/{name}": text for name, text in PROGRAMS.items()}, ".venv/bin/pip": PIP, ".venv/bin/python": PIP}.items():  # fmt: skip
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)
            (place / name).chmod(0o755)

    def install(self, *words: str, demand: str = "") -> list[str]:
        """What it has asked for."""
        self.log.write_text("")
        environment = {**os.environ, "PATH": f"{self.place}/bin:{os.environ['PATH']}", "LOG": str(self.log)}
        environment["LAZYOBS_DEMAND"] = demand
        command = ["sh", "setup/install", *words, ".venv", str(self.place / "lazyobs")]
        subprocess.run(command, cwd=self.place, env=environment, check=True, capture_output=True)
        return self.log.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_look_takes_neither_a_compiler_nor_libraries_for_recordings(machine: Machine) -> None:
    asked = machine.install("--use", demand="browser,spark")
    (packages,) = (line for line in asked if line.startswith("apt-get install"))
    assert packages.split()[5:] == ["python3-venv"]
    assert asked[-1] == "pip install -q --disable-pip-version-check -e ."
    assert (machine.place / "lazyobs").read_text().endswith('/.venv/bin/lazyobs" "$@"\n')
    assert machine.install("--use", demand="browser") == []


def test_the_whole_comes_after_a_look_and_will_do_for_one(machine: Machine) -> None:
    machine.install("--use")
    asked = machine.install("--hint")
    assert asked[-1] == "pip install -q --disable-pip-version-check -e .[test]"
    assert "python3-bpfcc" in asked[-2] and "gcc" in asked[-2]
    assert machine.install() == []
    assert machine.install("--use") == []
    (machine.place / "setup.cfg").write_text("[metadata]\n")
    assert machine.install("--use")[-1].endswith("-e .")
    assert machine.install()[-1].endswith("-e .[test]"), "the set-up for a look is not the whole"
