# SPDX-License-Identifier: MIT
"""``python -m lazyobs``: the same as the ``lazyobs`` command."""

from lazyobs.entry import main

main()
