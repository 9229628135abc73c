# SPDX-License-Identifier: MIT
"""``lazyobs record``: samples and events of a live source into a recording, for hours."""
