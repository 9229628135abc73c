# SPDX-License-Identifier: MIT
"""Where an anon_vma cannot be told by its lock, no wait is counted as one of an anon_vma."""

from __future__ import annotations

from typing import Any

import pytest

from lazyobs.bpf import plan
from lazyobs.kernel.btf import Btf


def test_without_the_member_the_point_is_dropped(bpf: None, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = plan.gather()
    assert "tracepoint" not in plan.make(facts).dropped["lock"]
    member = Btf.member

    def lacking(self: Btf, struct: str, path: str) -> Any:
        return None if (struct, path) == ("anon_vma", "rwsem") else member(self, struct, path)

    monkeypatch.setattr(Btf, "member", lacking)
    assert plan.make(facts).dropped["lock"] == {"tracepoint": "BTF has no member anon_vma.rwsem"}
