# SPDX-License-Identifier: MIT
"""The table of supported kernels, ``kernels.toml``, as typed rows."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cache import LAB
from .errors import LabError

TABLE = LAB / "kernels.toml"
#: The kernel that ``lab/run`` boots when neither ``--kernel`` nor the environment names one.
DEFAULT = "lab"


@dataclass(frozen=True)
class Kernel:
    """One row: see the head of ``kernels.toml`` for what the columns mean."""

    name: str
    kind: str
    packages: tuple[str, ...]
    profile: str
    tier: str
    ci: bool
    about: str
    release: str = ""
    suite: str = ""
    arch: str = "amd64"
    root: str = ""
    tour: tuple[str, ...] = ()
    no_tour: str = ""
    patches: tuple[str, ...] = ()
    fragments: tuple[str, ...] = ()
    cmdline: str = ""

    def patch_files(self) -> list[Path]:
        return [LAB / "patches" / name for name in self.patches]

    def fragment_files(self) -> list[Path]:
        return [LAB / "config" / name for name in self.fragments]


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file, read by the reader that this Python has (3.11 has its own, pip brings one along)."""
    for name in ("tomllib", "tomli", "pip._vendor.tomli"):
        try:
            reader = importlib.import_module(name)
        except ImportError:
            continue
        with open(path, "rb") as stream:
            found: dict[str, Any] = reader.load(stream)
        return found
    raise LabError(
        f"cannot read {path.name}: this Python is older than 3.11 and has no tomli; "
        "install python3-tomli, or run with a newer python3"
    )


def row_of(name: str, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The columns of a row, with what it takes over by ``like``; lists as tuples."""
    own: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in rows[name].items()}
    like = own.pop("like", None)
    return {**row_of(like, rows), **own} if like else own


def table(path: Path = TABLE) -> dict[str, Kernel]:
    """Every kernel by name, in the order of the file."""
    rows = read_toml(path)["kernel"]
    # A tour is of the row itself: those like it have their own, or none.
    return {name: Kernel(name=name, **{**row_of(name, rows), **_tour(row)}) for name, row in rows.items()}


def _tour(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"tour": tuple(row.get("tour", ())), "no_tour": row.get("no_tour", "")}


def default_name() -> str:
    return os.environ.get("LAZYOBS_LAB_KERNEL") or DEFAULT


def kernel(name: str) -> Kernel:
    """The row of that name. LabError, with the names that exist, where there is none."""
    kernels = table()
    if name not in kernels:
        raise LabError(f"no kernel named {name!r} in {TABLE.name}; there are: {', '.join(kernels)}")
    return kernels[name]
