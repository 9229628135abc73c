# SPDX-License-Identifier: MIT
"""The rpm: the files of the Debian package, in their places, and the same bytes twice."""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

import pytest

from tests.harness import ROOT, module_of, need_programs
from tests.test_deb import fake_pip, files_of, trees  # noqa: F401 (a fixture)

RPM = ROOT / "packages/rpm"
builder = module_of(RPM / "build.py")
# Where the two distributions differ: what dpkg reads, and where zsh and licences are.
DEBIAN_ALONE = re.compile(r"usr/share/(doc|lintian)/.*")
MOVED = {"usr/share/zsh/vendor-completions/_lazyobs": "usr/share/zsh/site-functions/_lazyobs"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_programs("rpmbuild", "rpm")
    place = tmp_path_factory.mktemp("rpm")
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder.deb, "pip", fake_pip)
        for out in (place / "one", place / "two"):
            out.mkdir()
            asked = argparse.Namespace(wheel=Path("lazyobs-9.8.7-py3-none-any.whl"), out=out, python="3.13")
            found.append(builder.build(asked, 1800000000))
    assert found[0].name == "lazyobs-9.8.7-1.noarch.rpm"
    assert found[0].read_bytes() == found[1].read_bytes(), "the same inputs give the same bytes"
    return found[0]


def query(made: Path, *words: str) -> list[str]:
    command = ["rpm", "-qp", "--nosignature", *words, str(made)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_it_has_the_files_of_the_debian_package(made: Path, trees: dict[str, Path]) -> None:  # noqa: F811
    listed = query(made, "--queryformat", "[%{FILEMODES:perms} %{FILENAMES}\n]")
    files = {line.split(" /")[1] for line in listed if line[0] != "d"}
    debian = {MOVED.get(name, name) for name in files_of(trees["lazyobs"]) if not DEBIAN_ALONE.fullmatch(name)}
    assert files - {"usr/share/licenses/lazyobs/copyright"} == debian
    assert "-rwxr-xr-x /usr/bin/lazyobs" in listed and "-rw-r--r-- /usr/lib/systemd/system/lazyobs.service" in listed
    assert query(made, "--configfiles") == ["/etc/lazyobs/lazyobs.toml"]


def test_what_it_asks_for(made: Path) -> None:
    needed = {line.split()[0] for line in query(made, "--requires")}
    assert {"python3", "python3-lz4", "shadow-utils"} <= needed
    assert not {name for name in needed if "bcc" in name}


def test_a_shell_takes_its_scripts(made: Path) -> None:
    scripts = "\n".join(query(made, "--scripts"))
    assert scripts.count("scriptlet (using /bin/sh)") == 4
    for part in re.split(r"^\w+ scriptlet.*$", scripts, flags=re.MULTILINE):
        subprocess.run(["sh", "-n"], input=part, text=True, check=True)


def test_without_rpmbuild_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder.shutil, "which", lambda _name: None)
    monkeypatch.setattr(builder.sys, "argv", ["build.py", "x.whl", "out"])
    with pytest.raises(SystemExit, match="apt install rpm"):
        builder.main()
