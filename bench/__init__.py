# SPDX-License-Identifier: MIT
"""The measurements of docs/costs.md: each runs together with its peer and gives a ratio and the underlying numbers."""
