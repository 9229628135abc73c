# SPDX-License-Identifier: MIT
"""Settings of the exporter: lazyobs.toml, then the command line over it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from lazyobs.errors import UsageError
from lazyobs.model import TIERS
from lazyobs.sources.budget import parse
from lazyobs.unix.small_file import Unusable, read_toml

DEFAULT_FILE = Path("/etc/lazyobs/lazyobs.toml")


@dataclass(frozen=True)
class Settings:
    """Table ``[export]`` of lazyobs.toml. Every field is a key there and an option of ``lazyobs export``."""

    listen: str = "127.0.0.1:9797"
    web_config: str = ""  # file with TLS and passwords; none: plain HTTP for everybody who can connect
    textfile: str = ""  # file to write pages to, for node_exporter, in place of listening
    textfile_seconds: float = 15.0  # between two of them
    user: str = ""  # to become after the start; lazyobs or nobody otherwise
    profile: str = ""  # file of a kernel design; detected otherwise
    tier: str = ""  # best tier to use; the best there is otherwise
    budget: str = ""  # share of the machine's CPU time to keep within, such as 0.5%; none otherwise
    cgroup_depth: int = 2  # path components kept of a cgroup
    cgroup_top: int = 10  # cgroups with a row of their own
    connections: int = 64  # at a time
    seconds: float = 10.0  # that a connection may take, and a scrape waits for its reading

    @property
    def budget_share(self) -> float | None:
        """``budget`` as a share; None without one."""
        return parse(self.budget) if self.budget else None


_LIMITS: dict[str, tuple[float, float]] = {
    "cgroup_depth": (1, 8),
    "cgroup_top": (0, 50),
    "connections": (2, 1024),
    "seconds": (0.1, 300),
    "textfile_seconds": (1, 3600),
}
_WORDS: dict[type, str] = {str: "a string", int: "a whole number", float: "a number"}
_CHOICES: dict[str, tuple[str, ...]] = {"tier": TIERS}  # or empty: the default


def load(file: Path | None, given: dict[str, Any]) -> Settings:
    """The file (the default one where it exists), with what is ``given`` and not None over it. UsageError."""
    settings = Settings()
    chosen = file if file is not None else DEFAULT_FILE if DEFAULT_FILE.exists() else None
    if chosen is not None:
        settings = _checked(settings, _table(chosen), str(chosen))
    return _checked(settings, {name: value for name, value in given.items() if value is not None}, "the command line")


def _table(file: Path) -> dict[str, Any]:
    try:
        document = read_toml(file)
    except Unusable as error:
        raise UsageError(f"settings {file}", str(error), "see lazyobs help fleet") from None
    unknown = set(document) - {"export"}
    if unknown:
        raise UsageError(f"settings {file}", f"unknown table {min(unknown)!r}", "the table is called [export]")
    table = document.get("export", {})
    if not isinstance(table, dict):
        raise UsageError(f"settings {file}", "export is not a table", "see lazyobs help fleet")
    return table


def _checked(settings: Settings, values: dict[str, Any], where: str) -> Settings:
    kinds = {field.name: type(getattr(settings, field.name)) for field in fields(Settings)}
    for name, value in values.items():
        if name not in kinds:
            raise UsageError(f"settings in {where}", f"unknown key {name!r}", f"known are {', '.join(kinds)}")
        number = kinds[name] is float and type(value) is int
        if type(value) is not kinds[name] and not number:
            wanted = _WORDS[kinds[name]]
            raise UsageError(f"settings in {where}", f"{name} = {value!r} is not {wanted}", "see lazyobs help fleet")
        low, high = _LIMITS.get(name, (float("-inf"), float("inf")))
        if name in _LIMITS and not low <= value <= high:
            raise UsageError(f"settings in {where}", f"{name} = {value!r}", f"use a number from {low:g} to {high:g}")
        if name == "budget" and value:
            _check_budget(value, where)
        if value and value not in _CHOICES.get(name, (value,)):
            raise UsageError(f"settings in {where}", f"{name} = {value!r}", f"use one of {', '.join(_CHOICES[name])}")
    return replace(settings, **values)


def _check_budget(value: str, where: str) -> None:
    try:
        parse(value)
    except ValueError as error:
        raise UsageError(f"settings in {where}", f"budget = {value!r} is none", str(error)) from None
