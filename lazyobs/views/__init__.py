# SPDX-License-Identifier: MIT
"""Output of samples for people and programs. A view does not know where the samples come from."""
