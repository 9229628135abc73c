# SPDX-License-Identifier: MIT
"""The commands: each in the file of its name, which cli.py imports when it is run, and beside them the forms of ``top``
and the options that several share."""
