# SPDX-License-Identifier: MIT
"""The commands, one file each. cli.py finds them by name and imports only the one that is run."""
