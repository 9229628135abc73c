/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel stacks of both sides of a long wait, where the reader asks for them
 * (lazyobs/bpf/stacks.py).
 *
 * A task that begins to wait asks for the stack of the one that has the lock; that one keeps it as
 * its hold ends (holds.c), and the waiting task keeps its own as its wait ends. The map is bounded
 * and forgets what was not used for longest, so that nothing is left to clear away.
 *
 * struct kernel_stack is in lazyobs/bpf/stacks.py.
 */

/* Of a wait its thread and the stamp of its event; of a hold its thread alone. */
struct stack_key {
	u64 stamp;
	u64 tid;
};

#if EVENTS
BPF_TABLE("lru_hash", struct stack_key, struct kernel_stack, kernel_stacks, KERNEL_STACKS);

static __always_inline bool stacks_wanted(void)
{
	u32 zero = 0;
	struct event_filter *filter = event_filter.lookup(&zero);

	return filter && filter->stacks;
}

static __always_inline void keep_stack(void *ctx, struct stack_key *key, struct kernel_stack *fresh)
{
	struct kernel_stack *kept;
	long bytes;

	if (kernel_stacks.update(key, fresh))
		return;
	kept = kernel_stacks.lookup(key);
	if (!kept)
		return;
	bytes = bpf_get_stack(ctx, kept->address, sizeof(kept->address), 0);
	if (bytes > 0)
		kept->frames = bytes / sizeof(u64);
}

static __always_inline void keep_stack_of_waiter(void *ctx, u64 stamp, u64 since, u32 holder)
{
	struct kernel_stack fresh = { .since = since, .holder = holder };
	struct stack_key key = { .stamp = stamp, .tid = (u32)bpf_get_current_pid_tgid() };

	if (stacks_wanted())
		keep_stack(ctx, &key, &fresh);
}

static __always_inline void ask_for_stack(u32 holder, u64 root)
{
	struct kernel_stack asked = { .root = root };
	struct stack_key key = { .tid = holder };

	if (!stacks_wanted())
		return;
	asked.asked = bpf_ktime_get_ns();
	kernel_stacks.update(&key, &asked);
}

/* Of a hold of that root's lock since then, if a task has asked while it lasted. */
static __always_inline void give_stack(void *ctx, u64 root, u64 since)
{
	struct stack_key key = { .tid = (u32)bpf_get_current_pid_tgid() };
	struct kernel_stack fresh = { .since = since }, *asked;

	if (!stacks_wanted())
		return;
	asked = kernel_stacks.lookup(&key);
	if (!asked || asked->root != root || asked->asked < since)
		return;
	fresh.until = bpf_ktime_get_ns();
	keep_stack(ctx, &key, &fresh);
}
#else
static __always_inline void keep_stack_of_waiter(void *ctx, u64 stamp, u64 since, u32 holder)
{
}

static __always_inline void ask_for_stack(u32 holder, u64 root)
{
}

static __always_inline void give_stack(void *ctx, u64 root, u64 since)
{
}
#endif
