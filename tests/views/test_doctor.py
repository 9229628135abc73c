# SPDX-License-Identifier: MIT
"""What doctor says of interpreters and of points that are not attached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lazyobs.bpf.points import POINTS
from lazyobs.views import doctor
from tests.harness import lazyobs

LAZY = [point.name for point in POINTS if point.lazy_only]


def point(name: str, **why: str) -> dict[str, Any]:
    return {"point": name, "why_not_better": why}


def test_points_of_laziness_have_one_reason_on_other_kernels() -> None:
    points = [point("prepare", fentry="EPERM"), *(point(name, fentry="a", kprobe="b") for name in LAZY)]
    assert doctor.reasons(points, has_lazy=False) == {
        "not fentry: EPERM": ["prepare"],
        "for kernels with lazy anon_vmas only": LAZY,
    }
    assert doctor.reasons(points, has_lazy=True) == {
        "not fentry: EPERM": ["prepare"],
        "not fentry: a": LAZY,
        "not kprobe: b": LAZY,
    }


def interpreter(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_search_for_bcc_ends_where_it_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the search for one to compile with does: what other interpreters lack is nothing to worry about."""
    none = interpreter(tmp_path / "none", 'exec /usr/bin/env python3 -S -c "$3"')
    has = interpreter(tmp_path / "has", "echo 0.26.0")
    broken = interpreter(tmp_path / "broken", "echo libbcc.so.0: cannot open >&2; exit 1")
    monkeypatch.setattr(doctor, "interpreters", lambda: [none, broken, has, none])
    assert [(entry["interpreter"], entry["version"]) for entry in doctor._bcc()] == [
        (none, "not installed"),
        (broken, "libbcc.so.0: cannot open"),
        (has, "0.26.0"),
    ]


def test_a_healthy_system_has_no_exceptions_in_it(bpf: None) -> None:
    document = json.loads(lazyobs("doctor", "-o", "json").stdout)
    assert "Error" not in lazyobs("doctor").stdout
    assert {"interpreter", "version"} == set(document["kernel"]["bcc"][-1])
    assert document["kernel"]["has_lazy_anon_vmas"] is (document["kernel"]["profile"] != "mainline")
