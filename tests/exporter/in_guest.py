# SPDX-License-Identifier: MIT
"""Runs in the lab's guest: the exporter, the islands, and the pages between their steps, as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

from tests.exporter.starting import exporters  # noqa: E402

program, count = sys.argv[1], sys.argv[2]
subprocess.run(["ip", "link", "set", "lo", "up"], check=False)
rounds = []
with exporters(Path(tempfile.mkdtemp())) as export:
    exporter = export("--seconds", "60", program=(str(HERE / "inside.py"),))  # emulated, on a busy host
    for _ in range(7):
        workload = subprocess.Popen(
            [program, count], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert workload.stdin is not None and workload.stdout is not None
        workload.stdout.readline()
        pages = {"begin": exporter.get(seconds=90).decode(), "idle": exporter.get(seconds=90).decode()}
        for step in ("touch", "fork", "reap"):
            workload.stdin.write(step + "\n")
            workload.stdout.readline()
            pages[step] = exporter.get(seconds=90).decode()
        workload.stdin.close()
        workload.wait()
        rounds.append(pages)
    attempts = json.loads(exporter.get("/attempts"))
print(json.dumps({"rounds": rounds, "attempts": attempts}))
