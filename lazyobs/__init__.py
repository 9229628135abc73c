# SPDX-License-Identifier: MIT
"""lazyobs: what anonymous reverse mapping costs on a live Linux kernel, and what laziness saves."""

__version__ = "0.1.0"
