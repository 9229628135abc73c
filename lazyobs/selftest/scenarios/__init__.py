# SPDX-License-Identifier: MIT
"""The scenarios, one file per kernel path. Each runs in its own process; see lazyobs/selftest/stage.py."""
