# SPDX-License-Identifier: MIT
"""Everything about the running kernel that decides what can be probed: read once, roots injectable."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from lazyobs.kernel import restrictions
from lazyobs.kernel.btf import Btf, BtfError
from lazyobs.kernel.kallsyms import Kallsyms
from lazyobs.kernel.profile import UNKNOWN, Profile
from lazyobs.kernel.signs import Sign, reason
from lazyobs.unix.small_file import Unusable, read_text


@dataclass
class Facts:
    """``btf`` or ``kallsyms`` is None where ``no_btf`` or ``no_kallsyms`` says why. ``signs``: of a lazy design that
    the profile does not describe."""

    release: str
    profile: Profile
    btf: Btf | None
    no_btf: str
    kallsyms: Kallsyms | None
    no_kallsyms: str
    signs: tuple[Sign, ...] = ()

    def subject(self) -> Subject:
        sizes = {name: self.btf.struct_size(name) if self.btf else None for name in ("anon_vma", "anon_vma_chain")}
        return Subject(self.release, self.profile, {name: size for name, size in sizes.items() if size})


@dataclass(frozen=True)
class Subject:
    """The little of Facts, which hold megabytes, that samples need.

    ``struct_bytes``: {struct: size}, for the bytes of an object where slabinfo cannot be read.
    """

    release: str
    profile: Profile
    struct_bytes: dict[str, int]


def shows_kernel(sys_root: str = "/sys") -> bool:
    """Whether sysfs is there and not hidden: every kernel has kernel/notes; a container may have something else there."""
    return os.path.exists(os.path.join(sys_root, "kernel/notes"))


def read_btf(names: Iterable[str], sys_root: str = "/sys") -> tuple[Btf | None, str]:
    """The kernel's types, or None and the reason."""
    path = os.path.join(sys_root, "kernel/btf/vmlinux")
    try:
        return Btf.read(names, path), ""
    except FileNotFoundError:
        if not shows_kernel(sys_root):
            return None, f"{path} cannot be seen: {sys_root}/kernel is hidden here, or sysfs is not mounted"
        return None, f"{path} does not exist: the kernel was built without CONFIG_DEBUG_INFO_BTF"
    except (OSError, BtfError) as error:
        return None, f"{path}: {error}"


def read_kallsyms(
    names: Iterable[str], proc_root: str = "/proc", fragments: Iterable[str] = ()
) -> tuple[Kallsyms | None, str]:
    """The kernel's symbols, or None and the reason."""
    path = os.path.join(proc_root, "kallsyms")
    try:
        kallsyms = Kallsyms.read(names, path, fragments)
    except FileNotFoundError:
        if not os.path.exists(os.path.join(proc_root, "version")):
            return None, f"{path} cannot be seen: {proc_root} shows processes only (subset=pid), or is not mounted"
        return None, f"{path} does not exist: the kernel was built without CONFIG_KALLSYMS"
    except OSError as error:
        return None, f"{path}: {error.strerror}"
    if kallsyms.hidden:
        return None, f"{path} hides the addresses: {way_to_addresses(proc_root)}"
    if not kallsyms.has_any:
        # The System.map in Debian's kernel packages is one line that says where the real one is.
        return None, f"{path} has none of the functions that handle anon_vmas: it is no symbol table, or only a stub"
    return kallsyms, ""


def way_to_addresses(proc_root: str = "/proc") -> str:
    """What kallsyms_show_value() (kernel/ksyms_common.c) asks for: with kptr_restrict=2 no capability helps."""
    if restrictions.sysctl("kernel.kptr_restrict", proc_root) == "2":
        return "kernel.kptr_restrict is 2, which no capability overrides; run sysctl kernel.kptr_restrict=1"
    return "CAP_SYSLOG is needed"


def release(proc_root: str = "/proc") -> str:
    """The kernel's release; from uname(2) where /proc/sys is hidden."""
    try:
        with open(os.path.join(proc_root, "sys/kernel/osrelease"), encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return os.uname().release


def fits(profile: Profile, btf: Btf | None, kallsyms: Kallsyms | None) -> bool:
    """True when the kernel has everything the profile demands."""
    return not lacking(profile, btf, kallsyms)


def lacking(profile: Profile, btf: Btf | None, kallsyms: Kallsyms | None) -> list[str]:
    """What the profile's [detect] asks for that the kernel does not have."""
    return [
        *(name for name in profile.functions if kallsyms is None or not kallsyms.parts(name)),
        *(name for name in profile.types if btf is None or not btf.has_type(name)),
        *(name for name in profile.members if btf is None or not _has_member(btf, name)),
    ]


def _has_member(btf: Btf, name: str) -> bool:
    try:
        return btf.member(*name.split(".", 1)) is not None
    except BtfError:  # nothing can be said of a struct that leads in a circle
        return False


def without_false_zeros(profile: Profile, signs: tuple[Sign, ...]) -> Profile:
    """``profile`` for a kernel with these signs of a lazy design (signs.py): a profile that describes no such design,
    and does not say that there is none, is not trusted with what depends on it."""
    if not signs or profile.has_lazy or profile.says_none:
        return profile
    why = reason(signs, profile.name)
    return replace(profile, name=UNKNOWN, about="a lazy design that no profile describes", unknown_design=why)


def lazy_switch(profile: Profile, proc_root: str = "/proc") -> bool | None:
    """Whether VMAs become lazy now: always by a design whose switch this kernel does not have. None where the design
    makes none lazy, or its switch cannot be read."""
    if not profile.sysctl:
        return True if profile.has_lazy else None
    # Its parts have neither dots nor slashes (profile.py): nothing but /proc/sys is read.
    switch = Path(proc_root, "sys", *profile.sysctl.split("."))
    try:
        return read_text(switch).strip() != "0"
    except Unusable:
        # A folder that is there and does not have it, not a container without /proc/sys.
        return True if profile.has_lazy and switch.parent.is_dir() and not switch.exists() else None
