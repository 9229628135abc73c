# SPDX-License-Identifier: MIT
"""``lazyobs top --web``: a read-only copy of the screen for browsers."""
