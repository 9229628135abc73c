# SPDX-License-Identifier: MIT
"""A load under way: the plan is sent, and the loader answers when it has attached the probes, or cannot."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from lazyobs.bpf import images, plan_cache, template
from lazyobs.bpf.cache import Cache
from lazyobs.bpf.image import hash_of
from lazyobs.bpf.points import POINTS
from lazyobs.bpf.session import Loader, Session, interpreters, why_compile
from lazyobs.errors import BpfRefused
from lazyobs.sources.patience import Patience


class Loading:
    """``subject``: the kernel that the plan is for. Takes root, or the capabilities to load; what it gives does not."""

    def __init__(
        self,
        profile_file: Path | None,
        cap: str | None,
        points: tuple[str, ...] | None,
        meanwhile: Callable[[], object] = lambda: None,
        events: bool = False,
        follows: bool = False,
        stays: bool = False,
    ) -> None:
        """The loader starts first and initializes while the plan is made; ``meanwhile`` is called while it works.
        ``stays``: it goes on afterwards, for a budget (bpf/stays.py)."""
        first, *following = interpreters()
        self._loader = Loader(first, following)
        self._kept = Cache()
        try:
            made = plan_cache.planned(
                self._kept, profile_file, cap, points, events, lambda: self._announce(events), follows
            )
            self._loader.send(made, stays)
            meanwhile()
        except BaseException:
            self._loader.close()
            raise
        self.subject = made.subject

    def _announce(self, events: bool) -> None:
        """Lets the loader import BCC while the plan is made, where it will have to compile."""
        if why_compile() or not images.has(hash_of(template.text(events))):
            self._loader.announce()

    @property
    def why_not_yet(self) -> str:
        """Why there is no session, for as long as there is none."""
        seconds = time.monotonic() - self._loader.started
        return f"the probes are still being loaded ({self._loader.doing}, {seconds:.0f} s so far)"

    def session(self, procfs_serves: bool = True) -> Session:
        """Waits for the session, and tells a person who waits with it. BpfRefused where there is none.

        ``procfs_serves``: whether the command could do without."""
        with Patience(procfs_serves) as patience:
            return self._usable(self._loader.receive(waiting=patience.wait))

    def session_within(self, seconds: float) -> Session | None:
        """The session, None if it has not come within that time. BpfRefused where there will be none."""
        found = self._loader.receive_within(seconds)
        return None if found is None else self._usable(found)

    def _usable(self, session: Session) -> Session:
        """The session, if a required point is attached: a locked-down kernel loads BPF programs that can read nothing."""
        session.ignored += self._kept.ignored
        required = [point.name for point in POINTS if point.required and point.name in session.tiers]
        if not required or any(session.tiers[name] for name in required):
            return session
        session.close()
        why = next(iter(session.refused[required[0]].values()), "nothing was tried")
        raise BpfRefused("loading the probes", f"the kernel refused {required[0]} ({why})", "run lazyobs doctor")

    def leave(self) -> None:
        """Another process goes on with it, after a fork."""
        self._loader.leave()

    def close(self) -> None:
        """Nothing will be loaded any more."""
        self._loader.close()
