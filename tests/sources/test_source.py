# SPDX-License-Identifier: MIT
"""Every source answers everything that can be asked of one, or says why not."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator

import pytest

from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.features import FEATURES
from lazyobs.bpf.programs import point_of
from lazyobs.bpf.session import Session
from lazyobs.errors import NotSupported
from lazyobs.recording.replay import ReplaySource, open_replay
from lazyobs.sources.loading import Loading
from lazyobs.sources.open import open_live
from lazyobs.sources.procfs import ProcfsSource
from lazyobs.sources.source import Source
from tests.harness import ROOT
from tests.sources.test_procfs import source as procfs

LAB = ROOT / "examples/lab"
CALLS: dict[str, Callable[[Source], object]] = {
    "vmas": lambda source: source.vmas(os.getpid()),
    "programs": lambda source: source.programs(),
    "account": lambda source: source.account(),
    "events": lambda source: source.trace(EventFilter(), splats=False),
}

OPEN: dict[str, Callable[[], Source]] = {
    "procfs": procfs,
    "recording": lambda: open_replay(LAB),
    "live": lambda: open_live(cap="tracepoint", keep_root=True, events=True, splats=True).source,
}


@pytest.fixture(params=OPEN)
def source(request: pytest.FixtureRequest) -> Iterator[Source]:
    if request.param == "live":
        request.getfixturevalue("bpf")
    made = OPEN[request.param]()
    yield made
    made.close()


def test_it_has_every_method_of_the_protocol(source: Source) -> None:
    for name, member in inspect.getmembers(Source):
        if not name.startswith("_"):
            assert hasattr(source, name), name
            if inspect.isfunction(member):
                wanted = list(inspect.signature(member).parameters)[1:]
                assert list(inspect.signature(getattr(source, name)).parameters) == wanted, name


def test_what_it_says_of_itself_is_what_its_samples_say(source: Source) -> None:
    kernel, tiers = source.kernel, dict(source.tiers)
    sample = source.read()
    assert (sample.kernel, sample.tiers) == (kernel, {**sample.tiers, **tiers})
    assert source.live != isinstance(source, ReplaySource)
    assert (source.compiler is None) == isinstance(source, ProcfsSource)


@pytest.mark.parametrize("feature", CALLS)
def test_where_there_is_a_reason_it_is_the_error(source: Source, feature: str) -> None:
    why = source.why_not(feature)
    if why:
        with pytest.raises(NotSupported) as refused:
            CALLS[feature](source)
        assert refused.value.why == why
    else:
        assert CALLS[feature](source)


def test_every_feature_has_an_answer_and_nothing_else_has(source: Source) -> None:
    for feature in FEATURES:
        assert isinstance(source.why_not(feature), str)
    with pytest.raises(KeyError):
        source.why_not("weather")


def test_a_session_without_events_says_so(live) -> None:
    source = live(cap="tracepoint", points=("slab", "process", "census"))
    assert source.why_not("events") == source.why_not("fork") == "no event stream in this command"
    assert "no probe point census_vmas" in source.why_not("vmas")
    assert "kernel log" in source.why_not("splat")
    assert source.why_not("account") == ""


def test_programs_are_named_with_their_points(live) -> None:
    source = live(cap="tracepoint")
    found = {one.program: one.point for one in source.programs()}
    assert found["slab_alloc:kmem_cache_alloc"] == "slab"
    assert all(found.values()), found
    assert point_of("fexit_no_such_body:x") == ""


def test_a_required_probe_that_did_not_attach_is_in_the_notice(bpf: None, monkeypatch: pytest.MonkeyPatch) -> None:
    receive = Loading.session

    def refused(self: Loading, procfs_serves: bool = True) -> Session:
        session = receive(self, procfs_serves)
        session.tiers["slab"] = None
        session.refused["slab"] = {"tracepoint": "a made-up reason"}
        return session

    monkeypatch.setattr(Loading, "session", refused)
    opened = open_live(cap="tracepoint", keep_root=True)
    opened.source.close()
    told = "the probe slab is not attached, what it counts is null (tracepoint: a made-up reason)"
    assert opened.notice == f"lazyobs: {told}; run lazyobs doctor for more"
