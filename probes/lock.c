// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waits for the lock of an anon_vma's root, which a process shares with its parents and children.
 *
 * The tracepoints fire for every contended lock of the kernel, and give its address. Only a
 * semaphore that can be taken for reading or writing, which lies in an object whose root is the
 * object itself, can be such a lock; and only where the waiting task is in a function that takes
 * one. The last question is the dear one, and is asked of the few that pass the others.
 */

/* include/trace/events/lock.h: LCB_F_* */
#define LOCK_READ (1U << 1)
#define LOCK_WRITE (1U << 2)
#define LOCK_RT (1U << 3)

#define LOCK_FRAMES 16

struct lock_frames {
	u64 address[LOCK_FRAMES];
};

BPF_TABLE("percpu_array", u32, struct lock_frames, lock_frames, 1);

static __always_inline bool is_root_lock(u64 lock)
{
	struct anon_vma *anon_vma = STRUCT_AROUND(lock, struct anon_vma, rwsem);

	return READ(anon_vma, root) == anon_vma;
}

/* The path of the innermost frame that has one, else LOCK_PATH_COUNT. */
static __always_inline u32 lock_path(void *ctx)
{
	struct lock_frames *stack;
	u32 zero = 0;
	long bytes;

	stack = lock_frames.lookup(&zero);
	if (!stack)
		return LOCK_PATH_COUNT;
	bytes = bpf_get_stack(ctx, stack, sizeof(*stack), 0);
#pragma clang loop unroll(disable)
	for (int frame = 0; frame < LOCK_FRAMES; frame++) {
		u64 site = stack->address[frame];
		u32 path;

		if (frame * (long)sizeof(u64) >= bytes)
			break;
		path = LOCK_PATH_OF(site);
		if (path != LOCK_PATH_COUNT)
			return path;
	}
	return LOCK_PATH_COUNT;
}

int lock_wait_begins(u64 *ctx)
{
	u32 flags = ctx[1] & ~LOCK_RT, path;
	u64 start;

	if (flags != LOCK_READ && flags != LOCK_WRITE)
		return 0;
	if (!is_root_lock(ctx[0]))
		return 0;
	start = bpf_ktime_get_ns(); /* reading the stack takes microseconds, and the task waits */
	path = lock_path(ctx);
	if (path == LOCK_PATH_COUNT) {
		count_total(TOTAL_LOCKS_UNPLACED, 1);
		return 0;
	}
	call_began(CALLED_LOCK_WAIT, start, ctx[0], path, flags);
	return 0;
}

int lock_wait_ends(u64 *ctx)
{
	struct event *event;
	struct tally tally;
	struct call call;
	u64 nanoseconds;
	u32 path;

	if (!is_root_lock(ctx[0]) || !call_ends(CALLED_LOCK_WAIT, &call, &nanoseconds))
		return 0;
	path = call.detail;
	if (call.object != ctx[0] || path >= LOCK_PATH_COUNT)
		return 0;
	find_tally(&tally);
	add(&tally, COUNT_LOCK_WAITS, 1);
	add(&tally, COUNT_LOCK_WAITED_NS, nanoseconds);
	if (call.flags & LOCK_WRITE)
		add(&tally, COUNT_LOCK_WRITE_WAITS, 1);
	count_total(TOTAL_LOCK_WAITS_BY_PATH + path, 1);
	observe(HISTOGRAM_LOCK_WAIT_SECONDS_BY_PATH + path, nanoseconds);
	event = event_begin(EVENT_LOCK_WAIT, path, nanoseconds);
	if (event)
		event_end(event);
	return 0;
}
