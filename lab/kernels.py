# SPDX-License-Identifier: MIT
"""The table of supported kernels, ``kernels.toml``, as typed rows."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

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
    packages: Tuple[str, ...]
    profile: str
    tier: str
    ci: bool
    about: str
    release: str = ""
    patches: Tuple[str, ...] = ()
    fragments: Tuple[str, ...] = ()
    cmdline: str = ""

    def patch_files(self) -> List[Path]:
        return [LAB / "patches" / name for name in self.patches]

    def fragment_files(self) -> List[Path]:
        return [LAB / "config" / name for name in self.fragments]


def read_toml(path: Path) -> Dict[str, Any]:
    """A TOML file, read by whichever reader this Python has (3.11 has its own, pip carries one)."""
    try:
        import tomllib as reader  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        try:
            import tomli as reader  # type: ignore[import-not-found,no-redef,unused-ignore]
        except ImportError:
            try:
                from pip._vendor import tomli as reader  # type: ignore[no-redef]
            except ImportError:
                raise LabError(
                    f"cannot read {path.name}: this Python is older than 3.11 and has no tomli; "
                    "install python3-tomli, or run with a newer python3"
                ) from None
    with open(path, "rb") as stream:
        return reader.load(stream)  # type: ignore[no-any-return]


def _row(name: str, rows: Mapping[str, Mapping[str, Any]]) -> Dict[str, Any]:
    own = dict(rows[name])
    like = own.pop("like", None)
    return {**_row(like, rows), **own} if like else own


def table(path: Path = TABLE) -> Dict[str, Kernel]:
    """Every kernel by name, in the order of the file."""
    rows = read_toml(path)["kernel"]
    kernels = {}
    for name in rows:
        row = _row(name, rows)
        lists = {k: tuple(v) for k, v in row.items() if isinstance(v, list)}
        kernels[name] = Kernel(name=name, **{**row, **lists})
    return kernels


def default_name() -> str:
    return os.environ.get("LAZYOBS_LAB_KERNEL") or DEFAULT


def kernel(name: str) -> Kernel:
    """The row of that name, or an error that lists the names there are."""
    kernels = table()
    if name not in kernels:
        raise LabError(f"no kernel named {name!r} in {TABLE.name}; there are: {', '.join(kernels)}")
    return kernels[name]
