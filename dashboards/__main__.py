# SPDX-License-Identifier: MIT
"""Writes the boards beside this file."""

from __future__ import annotations

from pathlib import Path

from dashboards.boards import all_boards

for name, text in all_boards().items():
    (Path(__file__).parent / "grafana" / name).write_text(text)
