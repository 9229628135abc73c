# SPDX-License-Identifier: MIT
"""A stock BCC tool as they are commonly written: import, compile, attach, print a table from a map.

It counts slab allocations by process, with a histogram. BCC compiles against stub headers because
distribution headers may be missing; that makes it start faster, not slower.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time

sys.path.append(sys.argv[1])
from lazyobs.bpf.headers import write_stub_headers

with tempfile.TemporaryDirectory() as headers:
    write_stub_headers(headers)
    os.environ["BCC_KERNEL_SOURCE"] = headers
    from bcc import BPF

    program = BPF(
        text="""
BPF_HASH(counts, u32, u64, 16384);
BPF_HISTOGRAM(sizes);
RAW_TRACEPOINT_PROBE(kmem_cache_alloc)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;

	counts.increment(pid);
	sizes.increment(bpf_log2l(ctx->args[3]));
	return 0;
}
"""
    )
for pid, count in program["counts"].items():
    print(pid.value, count.value)
print("ready", flush=True)
time.sleep(float(sys.argv[2]))
