# SPDX-License-Identifier: MIT
"""What comes along beside the modules: examples, boards and rules, units, pages; and which commit this was built of.

An installation has them in ``lazyobs/share`` (setup.py puts them there), a checkout where they are kept.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


def folder(name: str) -> Path:
    """``examples``, ``dashboards``, ``systemd`` or ``docs``. FileNotFoundError where the installation lacks it."""
    for place in (_PACKAGE / "share" / name, _CHECKOUT / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"{name} is neither in {_PACKAGE / 'share'} nor in {_CHECKOUT}")


def lab() -> Path:
    """The lab's folder. FileNotFoundError where the installation lacks it: in Debian it is a package of its own."""
    places = (_PACKAGE / "lab", _CHECKOUT / "lab")
    for place in places:
        if (place / "kernels.toml").is_file():
            return place
    raise FileNotFoundError(f"the lab is in none of {', '.join(str(place) for place in places)}")


def module_path() -> list[str]:
    """Where another interpreter finds this package and the modules that came along with it (those of the Debian package
    are beside it), for PYTHONPATH."""
    return [str(_CHECKOUT), *(place for place in sys.path if place and Path(place).parent == _CHECKOUT)]


def examples() -> dict[str, Path]:
    """The recordings that come along, and folders of recordings of several boots, by name."""
    try:
        found = sorted(folder("examples").iterdir())
    except FileNotFoundError:
        return {}
    return {place.name: place for place in found if boots(place)}


def boots(place: Path) -> list[Path]:
    """``place`` if it is a recording, else the recordings that lie in it; [] where there are none."""
    if _is_recording(place):
        return [place]
    try:
        return sorted(filter(_is_recording, place.iterdir()))
    except OSError:
        return []


def _is_recording(place: Path) -> bool:
    """Also of what cannot be looked at, or has a name too long to be one, where pathlib would raise."""
    return os.path.isfile(place / "recording.json")


def recording(path: str) -> str:
    """``path`` where it is a recording's directory, or else the example of that name, if there is one, of several boots
    the first. (A checkout has a directory lab that is no recording.)"""
    if os.path.exists(Path(path) / "recording.json"):
        return path
    return recordings(path)[0]


def recordings(path: str) -> list[str]:
    """The recordings of that directory or, where it has none, of the example of that name, one a boot; ``path`` itself
    where there is neither, for an error to name."""
    name, _, boot = path.partition("/")
    example = examples().get(name)
    found = boots(Path(path)) or ([] if example is None or ".." in Path(boot).parts else boots(example / boot))
    return [str(one) for one in found] or [path]


def commit() -> str:
    """The commit that this was built of, or that the checkout is at: 12 digits, and "modified" behind them where a build
    was of other files than the commit's; "" where it is not known."""
    try:
        return (_PACKAGE / "share/commit").read_text(encoding="ascii").strip()
    except OSError:
        return _checked_out(_CHECKOUT)[:12]


def version(number: str) -> str:
    """The version with the commit behind it, where that is known."""
    of = commit()
    return f"{number} (commit {of})" if of else number


def _checked_out(checkout: Path) -> str:
    """What HEAD is. Git is not run for it: as root it would run what the checkout's owner has configured."""
    if not (checkout / "setup.cfg").is_file():
        return ""
    try:
        git = checkout / ".git"
        if git.is_file():  # a worktree's
            git = checkout / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head if _COMMIT.fullmatch(head) else ""
        common = git / "commondir"
        shared = git / common.read_text(encoding="utf-8").strip() if common.is_file() else git
        return _ref(shared, head.removeprefix("ref: "))
    except (OSError, UnicodeDecodeError):
        return ""


def _ref(git: Path, name: str) -> str:
    if ".." in name:
        return ""
    if (git / name).is_file():
        found = (git / name).read_text(encoding="utf-8").strip()
        return found if _COMMIT.fullmatch(found) else ""
    for line in (git / "packed-refs").read_text(encoding="utf-8").splitlines():
        hash_of, _, ref = line.partition(" ")
        if ref == name and _COMMIT.fullmatch(hash_of):
            return hash_of
    return ""
