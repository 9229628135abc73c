# SPDX-License-Identifier: MIT
"""What this kernel is: BTF, symbols, slab caches, profiles, restrictions. Standard library only."""
