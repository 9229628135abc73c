# SPDX-License-Identifier: MIT
"""Which recordings may stand together: the boots of one arm, and what else differs between two arms."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from lazyobs.errors import UsageError
from lazyobs.soak.series import Series

KERNEL = ("release", "version", "build_id", "config_sha256", "profile", "lazy_enabled")  # what an arm is an arm of
_OF_A_BOOT = ("boot_id", "tainted")
_OF_THE_DESIGN = ("tiers.lazy_prepare", "tiers.promotion")  # there is nothing to attach to without laziness
_OF_THE_BUILD = ("slab_merging", "not_recorded")  # follow from the kernel's configuration
_BY_MEMORY = ("memory_bytes", "sysctl.kernel.threads-max")
_MEMORY_WOBBLE = 0.01  # firmware keeps a little more or less back from boot to boot


@dataclass(frozen=True)
class Difference:
    """Of the identity blocks of two arms. ``expected``: it is the kernel that is compared."""

    key: str
    base: str
    new: str
    expected: bool


def refuse_overlaps(recordings: Iterable[Series]) -> None:
    """Two recordings of one boot may follow each other, not cover the same time. UsageError."""
    for one, other in combinations(recordings, 2):
        same_boot = one.identity.get("boot_id") is not None and one.identity.get("boot_id") == other.identity.get(
            "boot_id"
        )
        if same_boot and _overlap(one, other):
            raise UsageError(
                f"{one.name} and {other.name}",
                "are of the same time of one boot: it would count twice",
                "leave one out",
            )


def _overlap(one: Series, other: Series) -> bool:
    spans = [series.samples["time"] for series in (one, other)]
    if not all(len(span) for span in spans):
        return False
    return bool(spans[0][0] <= spans[1][-1] and spans[1][0] <= spans[0][-1])


def refuse_mixture(arm: str, recordings: list[Series]) -> None:
    """All recordings of an arm are of one kernel, one design and one position of its switch. UsageError."""
    first = recordings[0]
    for other in recordings[1:]:
        for key in KERNEL:
            mine, others = first.identity.get(key), other.identity.get(key)
            if mine != others:
                raise UsageError(
                    f"--{arm}: {first.name} and {other.name}",
                    f"are not of one kernel ({key} is {mine!r} and {others!r})",
                    "give the recordings of one kernel and one switch position to each arm",
                )


def boots(recordings: list[Series]) -> dict[str, list[Series]]:
    """Recordings by boot: the unit of replication. Without a boot id each is taken for a boot of its own."""
    found: dict[str, list[Series]] = {}
    for series in recordings:
        found.setdefault(str(series.identity.get("boot_id") or series.name), []).append(series)
    return found


def differences(base: list[Series], new: list[Series]) -> list[Difference]:
    """What the identity blocks of the arms do not have in common."""
    sides = [[_flat(series.identity) for series in arm] for arm in (base, new)]
    keys = dict.fromkeys(key for side in sides for block in side for key in block)
    found = []
    for key in keys:
        if key in _OF_A_BOOT:
            continue
        values = [sorted({_shown(block.get(key)) for block in side}) for side in sides]
        if values[0] != values[1] and not (key in _BY_MEMORY and _near(values[0] + values[1])):
            found.append(Difference(key, _join(values[0]), _join(values[1]), False))
    return [replace(one, expected=_is_expected(one.key, {other.key for other in found})) for one in found]


def _is_expected(key: str, differing: set[str]) -> bool:
    part = key.split(".")[0]
    if key in _OF_THE_DESIGN:
        return "profile" in differing
    return part in KERNEL or (part in _OF_THE_BUILD and "build_id" in differing)


def _flat(block: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(block, dict):
        return {name: block}
    flat: dict[str, Any] = {}
    for key, value in block.items():
        flat.update(_flat(value, f"{name}.{key}" if name else str(key)))
    return flat


def _near(values: list[str]) -> bool:
    if not all(value.isdecimal() for value in values):
        return False
    numbers = [int(value) for value in values]
    return max(numbers) - min(numbers) <= _MEMORY_WOBBLE * max(numbers)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _join(values: list[str]) -> str:
    return " | ".join(values)
