# SPDX-License-Identifier: MIT
"""The sampler of ``top --web``: the only process that holds the source. It answers the requests of all sessions.

A session can request the next sample or a sample of a recording, either with the VMAs of one process. While there is
no session, nothing is sampled.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.errors import NotSupported
from lazyobs.model import Sample
from lazyobs.screen.feed import KernelFeed, ReplayFeed
from lazyobs.screen.state import Wanted
from lazyobs.screen.web import protocol


def run(feed: KernelFeed | ReplayFeed, control: socket.socket) -> None:
    """Returns on a signal. NotSupported if the web server ends first, which closes ``control``.

    The server sends one end of a socket pair for each session over ``control``.
    """
    asyncio.run(_Sampler(feed, control).run())


class _Sampler:
    def __init__(self, feed: KernelFeed | ReplayFeed, control: socket.socket) -> None:
        self._feed, self._control = feed, control
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._sessions: set[asyncio.Task[None]] = set()
        self._sample: Sample | None = None
        self._document = b""
        self._number = 0
        self._new_sample = asyncio.Condition()
        self._ended: asyncio.Future[bool] | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._ended = ended = loop.create_future()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._end, True)
        self._control.setblocking(False)
        loop.add_reader(self._control, self._accept)
        sampling = asyncio.create_task(self._take_samples()) if isinstance(self._feed, KernelFeed) else None
        try:
            if sampling is not None:
                sampling.add_done_callback(self._sampling_ended)
            if not await ended:
                raise NotSupported("top --web", "the web server has ended", "see its error above")
        finally:
            loop.remove_reader(self._control)
            for task in (*self._sessions, *([sampling] if sampling else ())):
                task.cancel()
            self._thread.shutdown(wait=True, cancel_futures=True)

    def _end(self, by_signal: bool) -> None:
        assert self._ended is not None
        if not self._ended.done():
            self._ended.set_result(by_signal)

    def _sampling_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)

    def _accept(self) -> None:
        """Receives the socket of a new session, or learns that the server has ended."""
        try:
            data, fds, _, _ = socket.recv_fds(self._control, 1, 1)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        if not data:
            self._end(by_signal=False)
        for fd in fds:
            task = asyncio.create_task(self._serve(socket.socket(fileno=fd)))
            self._sessions.add(task)
            task.add_done_callback(self._sessions.discard)

    async def _take_samples(self) -> None:
        assert isinstance(self._feed, KernelFeed)
        loop = asyncio.get_running_loop()
        while True:
            if not self._sessions:
                await asyncio.sleep(0.1)
                continue
            started = loop.time()
            sample, trace_events = await loop.run_in_executor(self._thread, self._read)
            document = protocol.pack_sample(sample, trace_events)
            async with self._new_sample:
                self._sample, self._document = sample, document
                self._number += 1
                self._new_sample.notify_all()
            await asyncio.sleep(max(0.0, started + self._feed.interval - loop.time()))

    def _read(self) -> tuple[Sample, list[TraceEvent]]:
        assert isinstance(self._feed, KernelFeed)
        update = self._feed.read(Wanted())
        return update.sample, update.trace_events

    async def _serve(self, sock: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=sock)
        about = {
            "interval": self._feed.interval,
            "notice": getattr(self._feed, "notice", ""),
            "times": None if isinstance(self._feed, KernelFeed) else list(self._feed.times),
        }
        seen = 0
        try:
            writer.write(protocol.frame(protocol.pack(about)))
            while True:
                await writer.drain()
                length = protocol.LENGTH.unpack(await reader.readexactly(protocol.LENGTH.size))[0]
                if length > protocol.MOST_REQUEST:
                    return
                request = json.loads(await reader.readexactly(length))
                answer, seen = await self._answer(request, seen)
                writer.write(protocol.frame(answer))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError, RecursionError):
            return  # the session has ended, or sent nonsense
        finally:
            writer.close()

    async def _answer(self, request: Any, seen: int) -> tuple[bytes, int]:
        loop = asyncio.get_running_loop()
        wanted = protocol.read_wanted(request)
        feed = self._feed
        if isinstance(feed, ReplayFeed):
            at = request.get("at") if isinstance(request, dict) else 0
            position = min(max(at, 0), len(feed.times) - 1) if isinstance(at, int) else 0
            screen_state = await loop.run_in_executor(self._thread, feed.at, position, wanted)
            return protocol.pack_screen_state(screen_state), seen
        async with self._new_sample:
            await self._new_sample.wait_for(lambda: self._number > seen)
        sample, document, number = self._sample, self._document, self._number
        assert sample is not None
        extras = await loop.run_in_executor(self._thread, feed.extras, sample, wanted)
        return protocol.pack_update(document, extras), number
