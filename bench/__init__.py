# SPDX-License-Identifier: MIT
"""The measurements of the README: each runs together with its peer and gives a ratio and the underlying numbers."""
