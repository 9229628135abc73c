# SPDX-License-Identifier: MIT
"""Grafana boards, built from code: ``python -m dashboards`` writes dashboards/grafana/*.json."""
