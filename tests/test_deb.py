# SPDX-License-Identifier: MIT
"""The Debian package: what it has, what it asks for, and scripts that a shell takes. packages/deb/try installs it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.harness import ROOT, module_of, need_programs

DEB = ROOT / "packages/deb"
SCRIPTS = ("postinst", "prerm", "postrm", "analysis.postinst", "analysis.prerm", "try")


builder = module_of(DEB / "build.py")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_shell_takes_it(script: str) -> None:
    subprocess.run(["sh", "-n", DEB / script], check=True)


def test_every_requirement_has_one_version_here() -> None:
    """A wheel that is not pinned would make other bytes tomorrow."""
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (DEB / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    wanted = {line.split(">")[0].lower() for line in builder.requirements()}
    assert wanted and wanted <= pinned
    assert "lz4" not in wanted


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with everything but the vendored wheels, unpacked: control files in DEBIAN."""
    need_programs("dpkg-deb")
    place = tmp_path_factory.mktemp("deb")

    def pip(*arguments: str) -> None:
        target = Path(arguments[arguments.index("--target") + 1])
        target.mkdir(parents=True, exist_ok=True)
        if "--no-deps" in arguments:  # the wheel
            (target / "lazyobs").mkdir()
            (target / "lazyobs/__init__.py").write_text("")
            for folder, name in (("man/man1", "lazyobs.1"), ("zsh/site-functions", "_lazyobs")):
                (target / "share" / folder).mkdir(parents=True)
                (target / "share" / folder / name).write_text("x")
        else:
            (target / "bin").mkdir()
            (target / "a-1.dist-info/licenses").mkdir(parents=True)
            (target / "a-1.dist-info/METADATA").write_text("Name: a\n")
            (target / "a-1.dist-info/licenses/LICENSE").write_text("x")
            (target / "a.py").write_text("#!/usr/bin/env python\nprint(1)\n")

    patch = pytest.MonkeyPatch()
    patch.setattr(builder, "pip", pip)
    patch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    asked = builder.argparse.Namespace(
        wheel=Path("lazyobs-9.8.7-py3-none-any.whl"), out=place, python="3.11", packages=[]
    )
    made = builder.build(builder.PACKAGES["lazyobs"], asked, builder.epoch())
    first = made.read_bytes()
    again = builder.build(builder.PACKAGES["lazyobs"], asked, builder.epoch())
    patch.undo()
    assert again.read_bytes() == first, "the same inputs give the same bytes"
    assert made.name == "lazyobs_9.8.7_all.deb"
    subprocess.run(["dpkg-deb", "-R", made, place / "tree"], check=True)
    return place / "tree"


def test_the_package(tree: Path) -> None:
    fields = dict(line.split(": ", 1) for line in (tree / "DEBIAN/control").read_text().splitlines() if line[0] != " ")
    assert (fields["Version"], fields["Architecture"]) == ("9.8.7", "all")
    assert "python3-lz4" in fields["Depends"] and "bpfcc" not in fields["Depends"]
    assert (tree / "DEBIAN/conffiles").read_text() == "/etc/lazyobs/lazyobs.toml\n"
    unit = (tree / "usr/lib/systemd/system/lazyobs.service").read_text()
    assert "ExecStart=/usr/bin/lazyobs export\n" in unit
    assert (tree / "usr/bin/lazyobs").stat().st_mode & 0o777 == 0o755
    assert (tree / "usr/share/man/man1/lazyobs.1.gz").is_file()
    assert (tree / "usr/share/zsh/vendor-completions/_lazyobs").is_file()
    sums = {line.split()[1] for line in (tree / "DEBIAN/md5sums").read_text().splitlines()}
    there = {str(file.relative_to(tree)) for file in tree.rglob("*") if file.is_file()}
    assert sums == {name for name in there if not name.startswith("DEBIAN/")}


def test_what_came_along_is_modules_alone(tree: Path) -> None:
    vendor = tree / "usr/lib/lazyobs/vendor"
    assert {str(place.relative_to(vendor)) for place in vendor.rglob("*") if place.is_file()} == {
        "a.py",
        "a-1.dist-info/METADATA",
    }
    assert (vendor / "a.py").read_text() == "print(1)\n"


def test_the_overrides_are_of_tags_that_are_explained() -> None:
    lines = (DEB / "lintian-overrides").read_text().splitlines()
    for number, line in enumerate(lines):
        if not line.startswith("#"):
            assert lines[number - 1].startswith("#"), line
