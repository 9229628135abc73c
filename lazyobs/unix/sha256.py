# SPDX-License-Identifier: MIT
"""SHA-256 without OpenSSL: hashlib loads it, which is four megabytes of every process that only looks for a file's name."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        from _sha2 import sha256  # Python 3.12 and later
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256

__all__ = ["sha256"]
