# SPDX-License-Identifier: MIT
"""The measurements of the README: each in one run with its peer, as a ratio and the numbers behind it."""
