# SPDX-License-Identifier: MIT
"""What setup.cfg cannot say: a wheel carries examples, boards, rules, units, pages and the commit it was built of, and
puts man pages and completions, made from the commands themselves, where man and the shells look."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
# Into lazyobs/share; see lazyobs/shipped.py. Pictures of pages stay out: they are larger than all the rest.
SHARED = (
    *(
        "examples/*/*",
        "examples/*/*/*",
        "examples/*.py",
        "examples/*.toml",
        "dashboards/grafana/**/*",
        "dashboards/prometheus/*",
    ),
    *("systemd/*", "docs/*.md", "CHANGELOG.md"),
)
# Shell: where its completions are, below the prefix, and the file's name.
COMPLETIONS = {
    "bash": ("share/bash-completion/completions", "lazyobs"),
    "zsh": ("share/zsh/site-functions", "_lazyobs"),
    "fish": ("share/fish/vendor_completions.d", "lazyobs.fish"),
}


def commit() -> str:
    """That of the checkout; of an unpacked sdist the one that it was made of; "" for neither."""
    if (ROOT / "COMMIT").is_file():
        return (ROOT / "COMMIT").read_text().strip()
    try:
        here = subprocess.run(["git", "rev-parse", "--show-toplevel", "HEAD"], **_QUIET).stdout.split()
        changed = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"], **_QUIET).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
    if len(here) != 2 or Path(here[0]) != ROOT:
        return ""
    return here[1][:12] + (" modified" if changed else "")


_QUIET = {"cwd": ROOT, "text": True, "check": True, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}


class BuildPy(build_py):
    """Also what is no module."""

    def run(self) -> None:
        super().run()
        if getattr(self, "editable_mode", False):
            return
        share = Path(self.build_lib, "lazyobs/share")
        for pattern in SHARED:
            for file in sorted(ROOT.glob(pattern)):
                if file.is_file() and "__pycache__" not in file.parts:
                    target = share / file.relative_to(ROOT)
                    self.mkpath(str(target.parent))
                    self.copy_file(str(file), str(target))
        (share / "commit").write_text(commit() + "\n")


class Sdist(sdist):
    """Also the commit."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        Path(base_dir, "COMMIT").write_text(commit() + "\n")


def pages() -> list[tuple[str, list[str]]]:
    """Man pages and completions, written to build/pages, as data_files: [(folder below the prefix, files)]."""
    made = ROOT / "build/pages"
    code = (
        "import sys; from pathlib import Path; from lazyobs import manual;"
        " manual.write_pages(Path(sys.argv[1])); manual.write_completions(Path(sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    subprocess.run([sys.executable, "-c", code, str(made)], check=True, env=environment)
    found = [("share/man/man1", [str(page.relative_to(ROOT)) for page in sorted(made.glob("*.1"))])]
    for shell, (folder, name) in COMPLETIONS.items():
        assert (made / shell / name).is_file()
        found.append((folder, [f"build/pages/{shell}/{name}"]))
    return found


setup(
    cmdclass={"build_py": BuildPy, "sdist": Sdist},
    data_files=pages() if "bdist_wheel" in sys.argv else [],
)
