# SPDX-License-Identifier: MIT
"""Everything that speaks bpf(2): maps, images, the loader process and the session that holds its fds."""
