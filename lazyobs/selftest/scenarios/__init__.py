# SPDX-License-Identifier: MIT
"""The scenarios, one file a kernel path. They run in a process of their own; see lazyobs/selftest/stage.py."""
