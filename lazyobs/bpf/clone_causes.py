# SPDX-License-Identifier: MIT
"""What anon_vma_clone() says it is called for: a parameter whose enumerators name the operation.

Mainline has had it since 7.0: ``enum vma_operation`` with VMA_OP_SPLIT, _MERGE_UNFAULTED, _REMAP and _FORK. An
enumerator is recognised by its words; a profile can say it by name.
"""

from __future__ import annotations

from lazyobs.bpf import enumerators
from lazyobs.bpf.blanks import Switch, switch
from lazyobs.kernel.btf import Btf, Function
from lazyobs.kernel.profile import Profile
from lazyobs.model import CLONE_CAUSES

# Names and types that the parameter can have.
PARAMETER = ("vma_operation", "operation")
ENUMS = ("vma_operation",)


def cause(enumerator: str, profile: Profile) -> str:
    """Which of CLONE_CAUSES it names; "other" where none."""
    for name, named in profile.clones.items():
        if enumerator in named:
            return name
    return enumerators.meant(enumerator, CLONE_CAUSES) or "other"


SWITCHES = ("CLONE_CAUSE_OF",)


def switches(btf: Btf, clone: Function | None, profile: Profile) -> dict[str, Switch]:
    """CLONE_CAUSE_OF(operation): which of CLONE_CAUSES it is. ``clone``: the prototype of anon_vma_clone()."""
    at = clone.index(*PARAMETER) if clone is not None else None
    rows = []
    if clone is not None and at is not None:
        for enumerator, value in btf.enumerators(clone.parameters[at].type_name).items():
            rows.append((value, value + 1, CLONE_CAUSES.index(cause(enumerator, profile))))
    return {"CLONE_CAUSE_OF": switch(rows, CLONE_CAUSES.index("other"), moves=False)}
