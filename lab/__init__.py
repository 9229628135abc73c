# SPDX-License-Identifier: MIT
"""The lab: kernels built or unpacked, and booted in QEMU with the host's files.

Standard library only, so that it runs before anything is installed: of lazyobs it imports modules that need no more.
"""
