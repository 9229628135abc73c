# SPDX-License-Identifier: MIT
"""What Python's standard library lacks of Unix: system calls, privileges, fork, pidfds, addresses, bounded reads."""
