# SPDX-License-Identifier: MIT
"""What a person or a program sees of samples. A view never asks where they came from."""
