# SPDX-License-Identifier: MIT
"""What a verdict is judged by: thresholds.toml, and what a file of the user's replaces in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lazyobs.errors import UsageError
from lazyobs.unix.small_file import Unusable, read_toml

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
        if section not in sections:
            raise _wrong(path, f"knows no section [{section}]; there are {', '.join(sections)}")
        if not isinstance(values, dict):
            raise _wrong(path, f"{section} is {values!r}, not a section [{section}] with keys")
        for key, value in values.items():
            if key not in sections[section]:
                raise _wrong(path, f"knows no {section}.{key}; there are {', '.join(sections[section])}")
            # What counts something is written without a point in the package's file.
            counts = isinstance(sections[section][key], int)
            kinds, words = ((int,), "a whole number") if counts else ((int, float), "a number")
            if type(value) not in kinds or not 0 <= value < math.inf:
                raise _wrong(path, f"{section}.{key} is {value!r}, not {words} of 0 or more")
            if key in ("alpha", "confidence") and not 0 < value < 1:
                raise _wrong(path, f"{section}.{key} is {value}, not between 0 and 1")
            sections[section][key] = value


def _wrong(path: Path, why: str) -> UsageError:
    return UsageError(str(path), why, "lazyobs/soak/thresholds.toml has them all, with what they mean")
