# SPDX-License-Identifier: MIT
"""Recordings: what they hold, how they are written so that nothing can spoil them, and how they are read."""
