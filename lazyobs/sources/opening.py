# SPDX-License-Identifier: MIT
"""Opening a live source: the best tier this kernel and these permissions allow, then root given up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lazyobs import privileges
from lazyobs.bpf import abi, plan
from lazyobs.bpf.session import CompilerNotFound, Loader, Session, interpreters
from lazyobs.bpf.tier_trials import refused_tiers
from lazyobs.errors import BpfRefused, NotPermitted, NotSupported
from lazyobs.kernel import profile as profiles
from lazyobs.kernel.facts import Facts
from lazyobs.kernel.slab import Slabinfo
from lazyobs.sources.live import LiveSource
from lazyobs.sources.procfs import ProcfsSource


@dataclass
class Opened:
    """``why_not`` is the reason there is no BPF, "" where there is."""

    source: LiveSource | ProcfsSource
    why_not: str


def open_live(
    profile_file: Path | None = None,
    cap: str | None = None,
    points: tuple[str, ...] | None = None,
    keep_root: bool = False,
    rates: bool = True,
) -> Opened:
    """The running kernel. ``cap`` is the best tier to use, ``points`` the probe points wanted (None: all).
    ``rates``: whether processes have rates.

    Without the permission to load BPF this is NotPermitted unless ``cap`` is "procfs"; where root is
    there but the kernel, a lockdown or a missing bcc stand in the way, the procfs tier is opened.
    """
    if cap != "procfs" and not privileges.may_load_bpf():
        raise NotPermitted(
            "loading the probes",
            "needs root (or CAP_BPF and CAP_PERFMON)",
            "run it with sudo, or add --tier procfs to see your own processes without BPF",
        )
    known = [profiles.load(profile_file)] if profile_file else None
    slabinfo = Slabinfo()
    if cap == "procfs":
        return _without_bpf(known, slabinfo, "--tier procfs")
    try:
        facts, session = attach(known, cap, points)
    except (BpfRefused, NotSupported) as error:
        return _without_bpf(known, slabinfo, f"{error.what}: {error.why}")
    source = LiveSource(facts, session, slabinfo, rates)
    if not keep_root:
        privileges.give_up_root(works_without=lambda: _touch(session))
    return Opened(source, "")


def attach(
    known: list[profiles.Profile] | None, cap: str | None, points: tuple[str, ...] | None
) -> tuple[Facts, Session]:
    """Facts and an attached session; the loader starts first and warms up while the facts are read."""
    candidates = interpreters()
    loader = Loader(candidates[0])
    try:
        facts = plan.gather(known)
        made = plan.make(facts, cap, points, refused_tiers(facts.btf))
    except BaseException:
        loader.close()
        raise
    for following in [*candidates[1:], None]:
        try:
            return facts, loader.load(made)
        except CompilerNotFound:
            if following is None:
                raise
            loader = Loader(following)
    raise AssertionError("unreachable: the last candidate returns or raises")


def _touch(session: Session) -> None:
    """A bpf(2) call of the kind that reading samples makes; OSError where it is closed to us."""
    for fd in session.maps.values():
        abi.object_info(fd)
        return


def _without_bpf(known: list[profiles.Profile] | None, slabinfo: Slabinfo, why: str) -> Opened:
    facts = plan.gather(known)
    source = ProcfsSource(facts.release, facts.profile, slabinfo, why)
    # smaps of other users' processes takes CAP_SYS_PTRACE; nothing else of root is needed.
    privileges.give_up_root(keep=frozenset({privileges.CAP_SYS_PTRACE, privileges.CAP_DAC_READ_SEARCH}))
    return Opened(source, why)
