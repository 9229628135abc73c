# SPDX-License-Identifier: MIT
"""A source of samples made by hand, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from lazyobs.bpf.event_filter import EventFilter
from lazyobs.errors import NotSupported
from lazyobs.kernel.symbols import Symbols
from lazyobs.model import Kernel, Sample


class HandmadeSource:
    """To be derived from: ``read`` gives the samples."""

    live = True
    kernel = Kernel("6.1.0-test", "mainline", None)
    tiers: Mapping[str, str | None] = {}
    compiler = None

    def read(self) -> Sample:
        raise EOFError

    def memory(self) -> Mapping[str, int]:
        return {}

    def why_not(self, feature: str) -> str:
        return "made by hand"

    def _refuse(self) -> NoReturn:
        raise NotSupported("reading it", "made by hand", "ask another source")

    def vmas(self, pid: int) -> NoReturn:
        self._refuse()

    def programs(self) -> NoReturn:
        self._refuse()

    def trace(self, wanted: EventFilter, splats: bool, symbols: Symbols | None = None) -> NoReturn:
        self._refuse()

    def events(self) -> NoReturn:
        self._refuse()

    def account(self) -> NoReturn:
        self._refuse()

    def held(self) -> NoReturn:
        self._refuse()

    def judge(self, barrier: object) -> NoReturn:
        self._refuse()

    def close(self) -> None:
        pass
