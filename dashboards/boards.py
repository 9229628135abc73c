# SPDX-License-Identifier: MIT
"""All boards, as the text of their files."""

from __future__ import annotations

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import fleet, host, kernel_ab


def all_boards() -> dict[str, str]:
    """{file name: JSON}"""
    boards = {"kernel-ab.json": kernel_ab.board(), "fleet.json": fleet.board(), "host.json": host.board()}
    encoder = JSONEncoder(indent=1, sort_keys=True)
    return {name: encoder.encode(board) + "\n" for name, board in boards.items()}
