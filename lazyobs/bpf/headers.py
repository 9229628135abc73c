# SPDX-License-Identifier: MIT
"""Stubs of the few header files that BCC's preamble includes, so that no kernel headers are needed.

BCC (0.26 to 0.37) compiles against the directory that BCC_KERNEL_SOURCE names and includes these files and no
others. The probes include nothing.
"""

from __future__ import annotations

import os

_TYPES = """#pragma once
typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u8 u8;
typedef __s8 s8;
typedef __u16 u16;
typedef __s16 s16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u16 __le16;
typedef __u32 __le32;
typedef __u64 __le64;
typedef __u16 __sum16;
typedef __u32 __wsum;
typedef _Bool bool;
typedef unsigned long size_t;
typedef unsigned long uintptr_t;
typedef int pid_t;
#define true 1
#define false 0
#define __aligned_u64 __u64 __attribute__((aligned(8)))
"""

_VERSION = """#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))
#define LINUX_VERSION_CODE KERNEL_VERSION(5, 15, 0)
"""


def stub_headers() -> dict[str, str]:
    """{path below the kernel source directory: content}."""
    return {
        "include/linux/kconfig.h": "#define CONFIG_BPF_SYSCALL 1\n",
        "include/linux/types.h": _TYPES,
        "include/linux/version.h": _VERSION,
        "include/linux/log2.h": "#define roundup_pow_of_two(n) (n)\n",
        "include/asm/page.h": f"#define PAGE_SIZE {os.sysconf('SC_PAGE_SIZE')}\n",
        "include/linux/bpf_common.h": "",
        "include/uapi/linux/bpf.h": "",
        "include/uapi/linux/if_packet.h": "",
    }


def write_stub_headers(root: str) -> None:
    """Writes the files below ``root``."""
    for path, content in stub_headers().items():
        target = os.path.join(root, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w", encoding="ascii") as file:
            file.write(content)
