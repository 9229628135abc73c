# SPDX-License-Identifier: MIT
"""The Debian package: what it has, what it asks for, and scripts that a shell takes. packages/deb/try installs it."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lab import packages
from lazyobs import errors
from tests.harness import ROOT, module_of, need_programs

DEB = ROOT / "packages/deb"
SCRIPTS = (
    *("postinst", "prerm", "postrm", "analysis.postinst", "analysis.prerm", "lab.postinst", "lab.prerm"),
    *("try", "try-systemd", "under-systemd"),
)


builder = module_of(DEB / "build.py")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_shell_takes_it(script: str) -> None:
    subprocess.run(["sh", "-n", DEB / script], check=True)


def test_a_process_that_it_starts_does_not_run_the_command_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One a CPU reads recordings, and has the launcher as its main module."""
    monkeypatch.setattr(sys, "argv", ["lazyobs", "--no-such-option"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    found = runpy.run_path(str(DEB / "lazyobs"), run_name="__mp_main__")
    assert callable(found["main"]) and "/usr/lib/lazyobs" in sys.path


def test_every_requirement_has_one_version_here() -> None:
    """A wheel that is not pinned would make other bytes tomorrow."""
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (DEB / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    for extra in ("", "soak"):
        wanted = {re.split(r"[>\[]", line)[0].lower() for line in builder.requirements(extra)}
        assert wanted and wanted <= pinned
        assert "lz4" not in wanted


def fake_pip(*arguments: str) -> None:
    """Of the wheel what a package moves about, and of everything else one module."""
    target = Path(arguments[arguments.index("--target") + 1])
    target.mkdir(parents=True, exist_ok=True)
    if "--no-deps" in arguments:  # the wheel
        files = {
            "lazyobs/__init__.py": "",
            "lazyobs/lab/run": "#!/usr/bin/env python3\nprint(2)\n",
            "lazyobs/lab/kernels.toml": "",
            "share/man/man1/lazyobs.1": "x",
            "share/bash-completion/completions/lazyobs": "x",
            "share/fish/vendor_completions.d/lazyobs.fish": "x",
            "share/zsh/site-functions/_lazyobs": "x",
        }
    else:
        files = {
            "bin/a": "",
            "a-1.dist-info/licenses/LICENSE": "x",
            "a-1.dist-info/METADATA": "Name: a\n",
            "a.py": "#!/usr/bin/env python\nprint(1)\n",
        }
    for name, text in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Packages with everything but the vendored wheels, unpacked: control files in DEBIAN."""
    need_programs("dpkg-deb")
    place = tmp_path_factory.mktemp("deb")
    asked = builder.argparse.Namespace(
        wheel=Path("lazyobs-9.8.7-py3-none-any.whl"), out=place, python="3.13", packages=[]
    )
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "pip", fake_pip)
        patch.setenv("SOURCE_DATE_EPOCH", "1800000000")
        for name in builder.PACKAGES:
            made = builder.build(builder.PACKAGES[name], asked, builder.epoch(asked.wheel))
            first = made.read_bytes()
            again = builder.build(builder.PACKAGES[name], asked, builder.epoch(asked.wheel))
            assert again.read_bytes() == first, "the same inputs give the same bytes"
            version = "9.8.7~deb13u1_amd64" if name == "lazyobs-analysis" else "9.8.7_all"
            assert made.name == f"{name}_{version}.deb"
            found[name] = place / name
            subprocess.run(["dpkg-deb", "-R", made, found[name]], check=True)
    return found


@pytest.fixture
def tree(trees: dict[str, Path]) -> Path:
    return trees["lazyobs"]


def fields_of(tree: Path) -> dict[str, str]:
    lines = (tree / "DEBIAN/control").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if line[0] != " ")


def files_of(tree: Path) -> set[str]:
    """Without those of dpkg."""
    found = (str(file.relative_to(tree)) for file in tree.rglob("*") if not file.is_dir() or file.is_symlink())
    return {name for name in found if not name.startswith("DEBIAN/")}


def test_the_package(tree: Path) -> None:
    fields = fields_of(tree)
    assert (fields["Version"], fields["Architecture"]) == ("9.8.7", "all")
    assert "python3-lz4" in fields["Depends"] and "bpfcc" not in fields["Depends"]
    assert (tree / "DEBIAN/conffiles").read_text() == "/etc/lazyobs/lazyobs.toml\n"
    unit = (tree / "usr/lib/systemd/system/lazyobs.service").read_text()
    assert "ExecStart=/usr/bin/lazyobs export\n" in unit
    assert (tree / "usr/bin/lazyobs").stat().st_mode & 0o777 == 0o755
    assert (tree / "usr/share/man/man1/lazyobs.1.gz").is_file()
    assert (tree / "usr/share/zsh/vendor-completions/_lazyobs").is_file()
    sums = {line.split()[1] for line in (tree / "DEBIAN/md5sums").read_text().splitlines()}
    assert sums == files_of(tree)
    assert not (tree / "usr/lib/lazyobs/lazyobs/lab").exists()


def test_the_lab_is_a_package_of_its_own(trees: dict[str, Path]) -> None:
    tree = trees["lazyobs-lab"]
    assert files_of(tree) & files_of(trees["lazyobs"]) == set()
    command = tree / "usr/bin/lazyobs-lab"
    assert command.resolve() == tree / "usr/lib/lazyobs/lazyobs/lab/run"
    assert command.read_text() == "#!/usr/bin/python3 -I\nprint(2)\n" and command.stat().st_mode & 0o777 == 0o755
    fields = fields_of(tree)
    assert "lazyobs (= 9.8.7)" in fields["Depends"] and "lazyobs-analysis" in fields["Recommends"]
    tools = [
        package
        for tools in (packages.BOOT_TOOLS["amd64"], packages.UNPACK_TOOLS, packages.DISK_TOOLS)
        for _, package in tools
    ]
    assert {package for package in tools if package != "dpkg"} <= set(re.findall(r"[\w.+-]+", fields["Depends"]))
    assert {package for _, package in packages.BUILD_TOOLS} <= set(
        re.findall(r"[\w.+-]+", " ".join([fields["Recommends"], fields["Depends"]]))
    )


def test_the_analysis_is_for_one_python(trees: dict[str, Path]) -> None:
    assert "python3 (>= 3.13), python3 (<< 3.14)" in fields_of(trees["lazyobs-analysis"])["Depends"]
    words = [sys.executable, str(DEB / "build.py"), "--python", "3.11,3.9", "x.whl", "out"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no Debian has 3.9" in done.stderr


def test_what_came_along_is_modules_alone(tree: Path) -> None:
    vendor = tree / "usr/lib/lazyobs/vendor"
    assert {str(place.relative_to(vendor)) for place in vendor.rglob("*") if place.is_file()} == {
        "a.py",
        "a-1.dist-info/METADATA",
    }
    assert (vendor / "a.py").read_text() == "print(1)\n"


def test_a_package_has_the_time_of_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of the commit that the checkout has gone on to."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as wheel:
        for second in (2, 4):
            wheel.writestr(zipfile.ZipInfo(f"a{second}", (2027, 1, 15, 8, 0, second)), "")
    assert builder.epoch(tmp_path / "x.whl") == 1_800_000_004
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "5")
    assert builder.epoch(tmp_path / "x.whl") == 5


def test_what_is_missing_is_to_be_had_where_it_was_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The rpm has the same places, and no others beside it."""
    monkeypatch.setattr(errors, "__file__", str(tmp_path / "lazyobs/errors.py"))
    assert errors.way_to_install("soak") == "pip install 'lazyobs[soak]'"
    monkeypatch.setattr(errors, "_PACKAGED", tmp_path)
    monkeypatch.setattr(errors, "_DPKG", tmp_path / "lazyobs.list")
    assert errors.way_to_install("soak").startswith("install the wheel in a virtual environment, as lazyobs[soak] ")
    (tmp_path / "lazyobs.list").touch()
    assert errors._WITH["lab"] == "soak"  # the wheel has the lab
    for extra, package in (("soak", "lazyobs-analysis"), ("lab", "lazyobs-lab")):
        assert package in builder.PACKAGES
        assert errors.way_to_install(extra).startswith(f"apt install {package}, or ")


@pytest.mark.parametrize("name", ["lintian-overrides", "analysis.lintian-overrides", "lab.lintian-overrides"])
def test_the_overrides_are_of_tags_that_are_explained(name: str) -> None:
    lines = (DEB / name).read_text().splitlines()
    for number, line in enumerate(lines):
        if not line.startswith("#"):
            assert lines[number - 1].startswith("#"), line
