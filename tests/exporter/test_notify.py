# SPDX-License-Identifier: MIT
from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lazyobs.exporter.notify import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_state_is_sent(tmp_path: Path, abstract: bool) -> None:
    address = "@lazyobs-test" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + address[1:] if abstract else address)
        receiver.settimeout(10)
        Notifier(address).send(ready=1, status="two\nlines")
        assert receiver.recv(1024) == b"READY=1\nSTATUS=two lines"


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().send(ready=1)
    Notifier(str(tmp_path / "nowhere")).send(ready=1)
