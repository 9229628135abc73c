# SPDX-License-Identifier: MIT
"""All boards, as the text of their files."""

from __future__ import annotations

import json

from dashboards import fleet, host, kernel_ab


def all_boards() -> dict[str, str]:
    """{file name: JSON}"""
    boards = {"kernel-ab.json": kernel_ab.board(), "fleet.json": fleet.board(), "host.json": host.board()}
    return {name: json.dumps(board.as_json(), indent=1) + "\n" for name, board in boards.items()}
