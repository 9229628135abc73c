# SPDX-License-Identifier: MIT
"""What Python's standard library lacks of Unix: giving up root, forking safely, pidfds, bounded reads."""
