# SPDX-License-Identifier: MIT
"""Opening a live source: the best tier this kernel and these permissions allow, then root given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lazyobs.bpf import abi, plan, plan_cache
from lazyobs.bpf.cache import Cache
from lazyobs.bpf.points import POINTS
from lazyobs.bpf.session import CompilerNotFound, Loader, Session, interpreters
from lazyobs.errors import BpfRefused, NotPermitted, NotSupported
from lazyobs.kernel import profile as profiles
from lazyobs.kernel.facts import Subject
from lazyobs.kernel.slab import Slabinfo
from lazyobs.sources.live import LiveSource
from lazyobs.sources.procfs import ProcfsSource
from lazyobs.unix import privileges


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
    meanwhile: Callable[[], object] = lambda: None,
    events: bool = False,
    accept: Callable[[Opened], object] = lambda opened: None,
    procfs_serves: bool = True,
) -> Opened:
    """The running kernel. ``cap`` is the best tier to use, ``points`` the probe points wanted (None: all).
    ``rates``: whether processes have rates; ``events``: whether there is a stream (bpf/event_stream.py).

    ``meanwhile`` is called while the loader is at work, and before root is given up: the place for
    imports, which may lie where nobody cannot read. ``accept`` is called with what has been opened, also before
    root is given up; what it raises closes it again.

    Without the permission to load BPF this is NotPermitted unless ``cap`` is "procfs"; where root is
    there but the kernel, a lockdown or a missing bcc stand in the way, the procfs tier is opened.
    ``procfs_serves``: whether that tier has what the caller wants, and can be advised.
    """
    if cap != "procfs" and not privileges.may_load_bpf():
        raise NotPermitted(
            "loading the probes",
            "needs root (or CAP_BPF and CAP_PERFMON)",
            "run it with sudo"
            + (", or add --tier procfs to see your own processes without BPF" if procfs_serves else ""),
        )
    if cap == "procfs":
        return _without_bpf(profile_file, "--tier procfs", meanwhile, accept)
    try:
        subject, session = attach(profile_file, cap, points, meanwhile, events)
    except (BpfRefused, NotSupported) as error:
        return _without_bpf(profile_file, f"{error.what}: {error.why}", meanwhile, accept)
    opened = _accepted(Opened(LiveSource(subject, session, Slabinfo(), rates), ""), accept)
    if not keep_root:
        privileges.give_up_root(works_without=lambda: _touch(session))
    return opened


def attach(
    profile_file: Path | None,
    cap: str | None,
    points: tuple[str, ...] | None,
    meanwhile: Callable[[], object] = lambda: None,
    events: bool = False,
) -> tuple[Subject, Session]:
    """The kernel and an attached session; the loader starts first and warms up while the plan is made."""
    candidates = interpreters()
    loader = Loader(candidates[0])
    try:
        kept = Cache()
        made = plan_cache.planned(kept, profile_file, cap, points, events, loader.announce)
        loader.send(made)
        meanwhile()
    except BaseException:
        loader.close()
        raise
    for following in [*candidates[1:], None]:
        try:
            session = _usable(loader.receive())
            session.ignored += kept.ignored
            return made.subject, session
        except CompilerNotFound:
            if following is None:
                raise
            loader = Loader(following)
            loader.send(made)
    raise AssertionError("unreachable: the last candidate returns or raises")


def _usable(session: Session) -> Session:
    """The session, if a required point of it is attached: a locked-down kernel lets BPF in but lets it read nothing."""
    required = [point.name for point in POINTS if point.required and point.name in session.tiers]
    if not required or any(session.tiers[name] for name in required):
        return session
    session.close()
    why = next(iter(session.refused[required[0]].values()), "nothing was tried")
    raise BpfRefused("loading the probes", f"the kernel refused {required[0]} ({why})", "run lazyobs doctor")


def _touch(session: Session) -> None:
    """A bpf(2) call of the kind that reading samples makes; OSError where it is closed to us."""
    for fd in session.maps.values():
        abi.object_info(fd)
        return


def _accepted(opened: Opened, accept: Callable[[Opened], object]) -> Opened:
    try:
        accept(opened)
    except BaseException:
        opened.source.close()
        raise
    return opened


def _without_bpf(
    profile_file: Path | None, why: str, meanwhile: Callable[[], object], accept: Callable[[Opened], object]
) -> Opened:
    facts = plan.gather([profiles.load(profile_file)] if profile_file else None)
    meanwhile()
    opened = _accepted(Opened(ProcfsSource(facts.release, facts.profile, Slabinfo(), why), why), accept)
    # smaps of other users' processes takes CAP_SYS_PTRACE; nothing else of root is needed.
    privileges.give_up_root(keep=frozenset({privileges.CAP_SYS_PTRACE, privileges.CAP_DAC_READ_SEARCH}))
    return opened
