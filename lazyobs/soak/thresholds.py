# SPDX-License-Identifier: MIT
"""What a verdict is judged by: thresholds.toml, and what a file of the user's replaces in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lazyobs.errors import UsageError
from lazyobs.small_file import Unusable, read_toml

Section = dict[str, float]


@dataclass(frozen=True)
class Thresholds:
    """{key: number} of each section of thresholds.toml, which says what they mean."""

    gate: Section
    leak: Section
    compare: Section


def load(path: Path | None = None) -> Thresholds:
    """The package's, with those of ``path`` in their place. UsageError names what is wrong in it."""
    with resources.as_file(resources.files("lazyobs.soak").joinpath("thresholds.toml")) as shipped:
        sections: dict[str, Section] = read_toml(shipped)
    if path is not None:
        _replace(sections, path)
    return Thresholds(**sections)


def _replace(sections: dict[str, Section], path: Path) -> None:
    try:
        given = read_toml(path)
    except Unusable as error:
        raise _wrong(path, str(error)) from None
    for section, values in given.items():
        if section not in sections or not isinstance(values, dict):
            raise _wrong(path, f"has no section [{section}] to set; there are {', '.join(sections)}")
        for key, value in values.items():
            if key not in sections[section]:
                raise _wrong(path, f"knows no {section}.{key}; there are {', '.join(sections[section])}")
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value < 0:
                raise _wrong(path, f"{section}.{key} is {value!r}, not a number of 0 or more")
            if key in ("alpha", "confidence") and not 0 < value < 1:
                raise _wrong(path, f"{section}.{key} is {value}, not between 0 and 1")
            sections[section][key] = value


def _wrong(path: Path, why: str) -> UsageError:
    return UsageError(str(path), why, "lazyobs/soak/thresholds.toml has them all, with what they mean")
