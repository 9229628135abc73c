# SPDX-License-Identifier: MIT
"""The wheel and the sdist: the same bytes twice, with everything that comes along, and a wheel that runs alone."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lazyobs.cli import COMMANDS
from tests.harness import ROOT, need_module, need_programs, skip

pytestmark = pytest.mark.slow
# What `lazyobs` of a wheel must not need: the modules of the extras.
WHAT_IT_HAS = (
    *("probes/slab.c", "images/plain.img", "kernel/profiles/mainline.toml", "sample.schema.json"),
    *(
        "share/examples/lab/recording.json",
        "share/dashboards/grafana/host.json",
        "share/dashboards/prometheus/agent.yml",
    ),
    *("share/systemd/lazyobs.service", "share/docs/recordings.md", "share/CHANGELOG.md", "share/commit"),
)


def dist(source: Path, out: Path) -> tuple[Path, Path]:
    """(sdist, wheel)"""
    program = [sys.executable, str(source / "setup/dist.py"), str(out)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    sdist, wheel = done.stdout.split()
    return Path(sdist), Path(wheel)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    need_programs("git", feature="host")
    if not (ROOT / ".git").exists():
        skip("host", "not in a checkout")
    need_module("setuptools.command.bdist_wheel", "programs", "pip install 'setuptools>=70.1'")
    return dist(ROOT, tmp_path_factory.mktemp("dist"))


def test_pip_alone_can_build_a_wheel() -> None:
    """The man pages are made from the commands, which import what an installation needs; the checkout's own takes none."""
    program = (
        "import backend, json; found = backend.get_requires_for_build_editable(), backend.get_requires_for_build_wheel();"
        " print(json.dumps(found))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "setup")}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)  # fmt: skip
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    editable, wheel = json.loads(done.stdout.splitlines()[-1])
    needed = {*config["options"]["install_requires"].split("\n")} - {""}
    assert len(needed) > 6 and needed <= {*wheel} and not needed & {*editable}


def test_the_wheel_has_what_comes_along(made: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(made[1]) as wheel:
        names = wheel.namelist()
        commit = wheel.read("lazyobs/share/commit").decode().split()
    assert [name for name in WHAT_IT_HAS if f"lazyobs/{name}" not in names] == []
    data = f"{made[1].name.split('-py3')[0]}.data/data/share"
    pages = {name.removeprefix(f"{data}/man/man1/") for name in names if name.startswith(f"{data}/man/man1/")}
    assert pages == {"lazyobs.1", *(f"lazyobs-{name}.1" for name in COMMANDS)}
    for script in (
        "bash-completion/completions/lazyobs",
        "zsh/site-functions/_lazyobs",
        "fish/vendor_completions.d/lazyobs.fish",
    ):
        assert f"{data}/{script}" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".png")]
    assert len(commit[0]) == 12


def test_a_build_of_the_sdist_gives_the_same_bytes(made: tuple[Path, Path], tmp_path: Path) -> None:
    """In another directory, from the sdist instead of the checkout, at another time, with another umask."""
    sdist, wheel = made
    subprocess.run(["tar", "-xf", str(sdist), "-C", str(tmp_path)], check=True)
    source = tmp_path / sdist.name.removesuffix(".tar.gz")
    with zipfile.ZipFile(wheel) as one:
        newest = max(info.date_time for info in one.infolist())
    assert newest < (2100, 1, 1, 0, 0, 0)
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    epoch = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    program = [sys.executable, str(source / "setup/dist.py"), str(tmp_path / "out")]
    done = subprocess.run(
        program,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SOURCE_DATE_EPOCH": epoch},
        umask=0o077,
    )
    assert done.returncode == 0, done.stderr
    again = tmp_path / "out" / wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_an_unpacked_wheel_runs_alone(made: tuple[Path, Path], tmp_path: Path) -> None:
    """Its examples, pages and commit are its own, not the checkout's."""
    with zipfile.ZipFile(made[1]) as wheel:
        wheel.extractall(tmp_path)
    shutil.rmtree(tmp_path / "lazyobs/__pycache__", ignore_errors=True)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", "-m", "lazyobs", *words]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(program, capture_output=True, text=True, check=False, env=environment, cwd="/")

    version = run("--version").stdout
    assert version.startswith("lazyobs, version ") and "(commit " in version
    listed = run("examples", "-o", "csv").stdout
    assert f"{tmp_path}/lazyobs/share/examples/lab" in listed
    shown = run("census", "--replay", "lab", "-o", "csv")
    assert (shown.returncode, shown.stdout.startswith("time,pid,")) == (0, True), shown.stderr
    assert run("help", "glossary").stdout == (ROOT / "docs/glossary.md").read_text()
    without = tmp_path / "without.py"
    text = (ROOT / "tests/commands/without.py").read_text()
    without.write_text(text)
    refused = subprocess.run(
        [sys.executable, str(without), "report", "x"], capture_output=True, text=True, check=False, cwd="/",
        env={**os.environ, "PYTHONPATH": str(tmp_path), "WITHOUT": "pyarrow"},
    )  # fmt: skip
    assert (refused.returncode, refused.stderr) == (3, "lazyobs: report: needs pyarrow; pip install 'lazyobs[soak]'\n")
