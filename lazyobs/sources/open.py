# SPDX-License-Identifier: MIT
"""Opens a live source at the best tier that this kernel and the permissions allow, then gives up root."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lazyobs.bpf import abi, plan
from lazyobs.bpf.points import POINTS
from lazyobs.bpf.session import Session, seconds_to_wait
from lazyobs.errors import BpfRefused, NotPermitted, NotSupported
from lazyobs.kernel import profile as profiles
from lazyobs.kernel.facts import Subject
from lazyobs.kernel.slab import Slabinfo
from lazyobs.preload import preload
from lazyobs.sources import sight
from lazyobs.sources.loading import Loading
from lazyobs.sources.source import Source
from lazyobs.text import plural
from lazyobs.unix import namespaces, privileges
from lazyobs.unix.capabilities import CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, why_not_bpf

if TYPE_CHECKING:
    from lazyobs.bpf.event_stream import EventStream
    from lazyobs.kernel.log import Splats
    from lazyobs.sources.climbing import ClimbingSource
    from lazyobs.sources.live import LiveSource

_LIVE = preload("lazyobs.sources.live")
SECONDS_TO_CLIMB = 10.0  # a compile takes a second, and four where the service has a quarter of a CPU
# smaps of other users' processes needs CAP_SYS_PTRACE, and no other privilege.
_FOR_PROCFS = frozenset({CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH})


@dataclass(frozen=True)
class Opened:
    """``why_not``: why there is no BPF, "" if there is. ``how``: lines on how the probes were loaded and what was
    refused. ``unknown_design``: why what depends on the kernel's design is null, "" if it is not. ``confined``: what is
    not seen, or not given up, because of where lazyobs runs. ``climbing``: the source, where there is no BPF yet.
    ``lacking``: required points that did not attach, each with the reason."""

    source: Source
    why_not: str
    how: tuple[str, ...] = ()
    unknown_design: str = ""
    confined: tuple[str, ...] = ()
    climbing: ClimbingSource | None = None
    lacking: tuple[str, ...] = ()

    @property
    def notice(self) -> str:
        """A line on what is missing: BPF, a required probe, a profile that describes the design, what cannot be seen;
        "" if nothing is."""
        missing = [*self._no_bpf(), *self.lacking, *self.confined]
        if self.unknown_design and not self._stays_procfs:
            missing.append(f"profile unknown, much is null: {self.unknown_design}")
        elif self._stays_procfs or self.lacking or self.confined:
            missing.append("run lazyobs doctor for more")
        return f"lazyobs: {'; '.join(missing)}" if missing else ""

    @property
    def _stays_procfs(self) -> bool:
        return bool(self.why_not) and self.climbing is None

    def _no_bpf(self) -> Iterator[str]:
        if self.climbing is not None:
            yield f"tier procfs for now, counters are null: {self.why_not}; it climbs by itself"
        elif self.why_not:
            yield f"tier procfs, counters are null: {self.why_not}"


def points_but(*names: str) -> tuple[str, ...]:
    """Every probe point except ``names``."""
    return tuple(point.name for point in POINTS if point.name not in names)


def open_live(
    profile_file: Path | None = None,
    cap: str | None = None,
    points: tuple[str, ...] | None = None,
    keep_root: bool = False,
    rates: bool = True,
    meanwhile: Callable[[], object] = lambda: None,
    events: bool = False,
    splats: bool = False,
    accept: Callable[[Opened], object] = lambda opened: None,
    procfs_serves: bool = True,
    climbs: bool = False,
    user: str = "",
    args: bool = False,
    follows: bool = False,
    budget: float | None = None,
) -> Opened:
    """Opens the running kernel. ``cap`` is the best tier to try, ``points`` are the probe points to attach (None: all).
    ``rates``: whether processes have rates; ``events``: whether there is a stream of events (bpf/event_stream.py);
    ``splats``: whether its traces include splats of the kernel log.

    ``meanwhile`` is called once, while the loader works and before root is given up: the place for imports, because
    the user `nobody` may be unable to read the modules. ``accept`` is called with the result, also before root is
    given up; if it raises, the source is closed.

    Without the permission to load BPF this raises NotPermitted unless ``cap`` is "procfs". With root, if the kernel,
    a lockdown or a missing bcc prevents BPF, it opens the procfs tier.
    ``procfs_serves``: whether that tier has what the caller needs, so that the error can suggest it.
    ``climbs``: where the loader takes longer than SECONDS_TO_CLIMB, the source begins at that tier, and has the probes
    as soon as they are attached (sources/climbing.py). Otherwise the start waits for them.
    ``args``: whether processes have their command lines, for views that a person looks at.
    ``follows``: whether what a command and its children do can be counted apart (``LiveSource.begin_command``).
    ``user``: to become instead of the default one (unix/privileges.py).
    ``budget``: share of the machine's CPU time to keep within (sources/budget.py).
    """
    if cap != "procfs" and (why := why_not_bpf()):
        raise NotPermitted(
            "loading the probes",
            why,
            "run it with sudo"
            + (", or add --tier procfs to see your own processes without BPF" if procfs_serves else ""),
        )
    once = functools.cache(meanwhile)  # every tier that is tried calls it
    if cap == "procfs":
        return _without_bpf(profile_file, "--tier procfs", once, accept, user, args, keep_root)
    log = _splats() if splats else None
    try:
        loading = Loading(profile_file, cap, points, lambda: (_LIVE(), once()), events, follows, budget is not None)
        session = (
            loading.session_within(seconds_to_wait(SECONDS_TO_CLIMB)) if climbs else loading.session(procfs_serves)
        )
    except (BpfRefused, NotSupported) as error:
        if log is not None:
            log.log.close()
        return _without_bpf(profile_file, f"{error.what}: {error.why}", once, accept, user, args, keep_root)
    if session is None:
        return _climbing(loading, rates, events, accept, user, budget)
    source = _live(loading.subject, session, Slabinfo(), rates, log, args, budget)
    how = tuple(_how_attached(session))
    unknown, lacking = loading.subject.profile.unknown_design, tuple(_lacking(session))
    opened = _accepted(Opened(source, "", how, unknown, _confined(user), lacking=lacking), accept)
    if not keep_root:
        privileges.give_up_root(works_without=lambda: _ask_about_a_map(session), user=user)
    return opened


def _live(
    subject: Subject,
    session: Session,
    slabinfo: Slabinfo,
    rates: bool,
    log: Splats | None,
    args: bool,
    budget: float | None,
) -> LiveSource:
    from lazyobs.sources.live import LiveSource

    stream = _stream(session) if "events" in session.maps else None
    return LiveSource(subject, session, slabinfo, rates, stream, log, args, budget)


def _confined(user: str) -> tuple[str, ...]:
    """What is not seen with probes, or not given up."""
    return (*sight.confined_probes(), *_stays_root(user))


def _stays_root(user: str) -> Iterator[str]:
    why = privileges.why_not_nobody(user)
    if why and namespaces.is_initial("user"):  # root of another is no more than an ordinary user
        yield f"stays user root, though without capabilities, because {why}"


def _splats() -> Splats:
    """Splats that are logged from now on."""
    from lazyobs.kernel.log import KernelLog, Splats

    return Splats(KernelLog())


def _stream(session: Session) -> EventStream:
    from lazyobs.bpf.event_stream import EventStream  # commands without events, such as the exporter, do not need it

    return EventStream(session)


def _lacking(session: Session) -> Iterator[str]:
    """What a table shows as dashes, and would not explain."""
    for point in POINTS:
        if point.required and point.name in session.tiers and session.tiers[point.name] is None:
            why = "; ".join(f"{tier}: {why}" for tier, why in session.refused[point.name].items())
            yield f"the probe {point.name} is not attached, what it counts is null ({why or 'nothing was tried'})"


def _how_attached(session: Session) -> Iterator[str]:
    from lazyobs.sources.map_reader import process_capacity

    count = len(session.programs)
    yield f"probes {session.origin}; {count} {plural(count, 'program')} attached"
    if (capacity := process_capacity(session)) is not None:
        yield f"maps have room for the counts of {capacity} processes"
    for ignored in session.ignored:
        yield f"kept but not used: {ignored}"
    for point, refused in session.refused.items():
        for tier, why in refused.items():
            yield f"{point}: {tier}: {why}"


def attach(
    profile_file: Path | None,
    cap: str | None,
    points: tuple[str, ...] | None,
    meanwhile: Callable[[], object] = lambda: None,
    events: bool = False,
    follows: bool = False,
) -> tuple[Subject, Session]:
    """The kernel and an attached session. Waits for the loader, and says so where that takes long."""
    loading = Loading(profile_file, cap, points, meanwhile, events, follows)
    return loading.subject, loading.session()


def _climbing(
    loading: Loading,
    rates: bool,
    events: bool,
    accept: Callable[[Opened], object],
    user: str,
    budget: float | None,
) -> Opened:
    """The procfs tier, until the loader has answered. Everything that takes root is done here."""
    from lazyobs.sources.climbing import ClimbingSource
    from lazyobs.sources.procfs import ProcfsSource

    if events:
        importlib.import_module("lazyobs.bpf.event_stream")
    slabinfo = Slabinfo()
    why = loading.why_not_yet
    first = ProcfsSource(loading.subject.release, loading.subject.profile, slabinfo, why)

    def opened(session: Session) -> LiveSource:
        return _live(loading.subject, session, slabinfo, rates, None, False, budget)

    source = ClimbingSource(first, loading, opened)
    unknown = loading.subject.profile.unknown_design
    found = _accepted(Opened(source, why, (), unknown, _confined(user), source), accept)
    trial = _trial_map()
    try:
        kept = privileges.give_up_root(_FOR_PROCFS, works_without=lambda: _ask_about(trial), user=user)
    finally:
        if trial >= 0:
            os.close(trial)
    source.keeps = kept - _FOR_PROCFS
    return found


def _trial_map() -> int:
    """A map that root has made, to ask about as samples ask about theirs; -1 where none can be made."""
    try:
        return abi.map_create(abi.MAP_TYPE_ARRAY, 4, 8, 1, 0, "lazyobs_trial")
    except OSError:
        return -1


def _ask_about_a_map(session: Session) -> None:
    """Makes a bpf(2) call of the kind that samples need. OSError if the kernel refuses it."""
    fd = next(iter(session.maps.values()), None)
    if fd is not None:
        _ask_about(fd)


def _ask_about(fd: int) -> None:
    abi.object_info(fd)


def _accepted(opened: Opened, accept: Callable[[Opened], object]) -> Opened:
    try:
        accept(opened)
    except BaseException:
        opened.source.close()
        raise
    return opened


def _without_bpf(
    profile_file: Path | None,
    why: str,
    meanwhile: Callable[[], object],
    accept: Callable[[Opened], object],
    user: str,
    args: bool,
    keep_root: bool,
) -> Opened:
    from lazyobs.sources.procfs import ProcfsSource

    facts = plan.gather([profiles.load(profile_file)] if profile_file else None)
    meanwhile()
    source = ProcfsSource(facts.release, facts.profile, Slabinfo(), why, args=args)
    opened = _accepted(Opened(source, why, confined=tuple(_stays_root(user))), accept)
    if not keep_root:
        privileges.give_up_root(_FOR_PROCFS, user=user)
    return opened
