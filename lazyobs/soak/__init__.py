# SPDX-License-Identifier: MIT
"""Soak analysis: a verdict on recordings, and the comparison of two kernels."""
