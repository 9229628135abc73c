# SPDX-License-Identifier: MIT
"""Samples as Prometheus metrics, served over HTTP. Nothing is read or computed between scrapes."""
