# SPDX-License-Identifier: MIT
"""The commands: one module per command, which cli.py imports only when the command runs. The forms of ``top`` and the
shared options are modules here too."""
