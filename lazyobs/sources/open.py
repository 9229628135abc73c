# SPDX-License-Identifier: MIT
"""Opens a live source at the best tier that this kernel and the permissions allow, then gives up root."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lazyobs.bpf import abi, plan, plan_cache
from lazyobs.bpf.cache import Cache
from lazyobs.bpf.points import POINTS
from lazyobs.bpf.session import CompilerNotFound, Loader, Session, interpreters
from lazyobs.errors import BpfRefused, NotPermitted, NotSupported
from lazyobs.kernel import profile as profiles
from lazyobs.kernel.facts import Subject
from lazyobs.kernel.slab import Slabinfo
from lazyobs.preload import preload
from lazyobs.sources import sight
from lazyobs.sources.source import Source
from lazyobs.text import plural
from lazyobs.unix import namespaces, privileges
from lazyobs.unix.capabilities import CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, why_not_bpf

if TYPE_CHECKING:
    from lazyobs.bpf.event_stream import EventStream
    from lazyobs.kernel.log import Splats

_LIVE = preload("lazyobs.sources.live")


@dataclass(frozen=True)
class Opened:
    """``why_not``: why there is no BPF, "" if there is. ``how``: lines on how the probes were loaded and what was
    refused. ``unknown_design``: why what depends on the kernel's design is null, "" if it is not. ``confined``: what is
    not seen, or not given up, because of where lazyobs runs."""

    source: Source
    why_not: str
    how: tuple[str, ...] = ()
    unknown_design: str = ""
    confined: tuple[str, ...] = ()

    @property
    def notice(self) -> str:
        """A line on what is missing: BPF, a profile that describes the design, what cannot be seen; "" if nothing is."""
        missing = [f"tier procfs, counters are null: {self.why_not}"] if self.why_not else []
        missing += self.confined
        line = f"lazyobs: {'; '.join(missing)}; run lazyobs doctor for more" if missing else ""
        if self.why_not or not self.unknown_design:
            return line
        unknown = f"profile unknown, much is null: {self.unknown_design}"
        return f"lazyobs: {'; '.join([*missing, unknown])}"


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
        return _without_bpf(profile_file, "--tier procfs", once, accept)
    log = _splats() if splats else None
    try:
        subject, session = attach(profile_file, cap, points, lambda: (_LIVE(), once()), events)
    except (BpfRefused, NotSupported) as error:
        if log is not None:
            log.log.close()
        return _without_bpf(profile_file, f"{error.what}: {error.why}", once, accept)
    from lazyobs.sources.live import LiveSource

    stream = _stream(session) if "events" in session.maps else None
    source = LiveSource(subject, session, Slabinfo(), rates, stream, log)
    confined = (*sight.confined_probes(), *_stays_root())
    how = tuple(_how_attached(session))
    opened = _accepted(Opened(source, "", how, subject.profile.unknown_design, confined), accept)
    if not keep_root:
        privileges.give_up_root(works_without=lambda: _ask_about_a_map(session))
    return opened


def _stays_root() -> Iterator[str]:
    why = privileges.why_not_nobody()
    if why and namespaces.is_initial("user"):  # root of another is no more than an ordinary user
        yield f"stays user root, though without capabilities, because {why}"


def _splats() -> Splats:
    """Splats that are logged from now on."""
    from lazyobs.kernel.log import KernelLog, Splats

    return Splats(KernelLog())


def _stream(session: Session) -> EventStream:
    from lazyobs.bpf.event_stream import EventStream  # commands without events, such as the exporter, do not need it

    return EventStream(session)


def _how_attached(session: Session) -> Iterator[str]:
    how = "compiled" if session.compiled else "compiled at an earlier start"
    count = len(session.programs)
    yield f"probes {how} ({session.interpreter}); {count} {plural(count, 'program')} attached"
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
) -> tuple[Subject, Session]:
    """The kernel and an attached session; the loader starts first and initializes while the plan is made."""
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
    """The session, if a required point is attached: a locked-down kernel loads BPF programs that can read nothing."""
    required = [point.name for point in POINTS if point.required and point.name in session.tiers]
    if not required or any(session.tiers[name] for name in required):
        return session
    session.close()
    why = next(iter(session.refused[required[0]].values()), "nothing was tried")
    raise BpfRefused("loading the probes", f"the kernel refused {required[0]} ({why})", "run lazyobs doctor")


def _ask_about_a_map(session: Session) -> None:
    """Makes a bpf(2) call of the kind that samples need. OSError if the kernel refuses it."""
    fd = next(iter(session.maps.values()), None)
    if fd is not None:
        abi.object_info(fd)


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
    from lazyobs.sources.procfs import ProcfsSource

    facts = plan.gather([profiles.load(profile_file)] if profile_file else None)
    meanwhile()
    source = ProcfsSource(facts.release, facts.profile, Slabinfo(), why)
    opened = _accepted(Opened(source, why, confined=tuple(_stays_root())), accept)
    # smaps of other users' processes needs CAP_SYS_PTRACE, and no other privilege.
    privileges.give_up_root(keep=frozenset({CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH}))
    return opened
