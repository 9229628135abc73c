# SPDX-License-Identifier: MIT
"""Recordings: their contents, a writer whose output survives crashes and power failures, and a reader."""
