# SPDX-License-Identifier: MIT
"""``lazyobs judge``: from a kernel patch series to a verdict."""
