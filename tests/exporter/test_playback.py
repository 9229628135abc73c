# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lazyobs.exporter.playback import Playback
from lazyobs.model import Sample
from tests.exporter.host import Host
from tests.exporter.metrics import of_page, series
from tests.harness import LAZYOBS, ROOT


class _Recorded(Host):
    """Five samples, ten seconds apart."""

    def read(self) -> Sample:
        if self.steps == 5:
            raise EOFError
        sample = super().read()
        sample.time = 1e9 + 10 * self.steps
        return sample


def test_samples_come_at_their_pace_and_the_last_one_stays() -> None:
    moments = [500.0]
    source = _Recorded()
    playback = Playback(source, clock=lambda: moments[-1])
    seen = []
    for moment in (500.0, 509.9, 510.0, 529.0, 530.0, 540.0, 9999.0):
        moments.append(moment)
        seen.append(int(playback.read().exited["forks"] or 0))
    assert seen == [1, 1, 2, 3, 4, 5, 5]
    playback.close()
    assert source.closed


@pytest.mark.bpf
def test_a_recording_is_served(bpf: None, export: Callable, islands: Callable, tmp_path: Path) -> None:
    """Also one that only root may read, by a server that is nobody."""
    directory = tmp_path / "recording"
    tmp_path.chmod(0o700)
    workload = islands(211)
    workload.tell("touch")
    command = [*LAZYOBS, "record", "-o", str(directory), "--interval", "0.2", "--duration", "1"]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    exporter = export("--replay", str(directory))
    page = of_page(exporter.get())
    assert page[series("lazyobs_vmas", state="private")] >= 211
    assert page[series("lazyobs_scrape_collector_success", collector="totals")] == 1
    assert "lazyobs_kernel_tainted" not in {name for name, _ in page}
    if os.geteuid() == 0:
        status = Path(f"/proc/{exporter.pid}/status").read_text()
        assert "Uid:\t65534\t65534\t65534\t65534" in status and "CapEff:\t0000000000000000" in status


def test_what_is_no_recording_is_told(tmp_path: Path) -> None:
    command = [*LAZYOBS, "export", "--listen", "127.0.0.1:0", "--replay", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode in (2, 3) and result.stderr.count("\n") == 1, result.stderr
