// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waits for the lock of an anon_vma's root, which a process shares with its parents and children.
 *
 * The tracepoints fire for every contended lock of the kernel, and give its address. Only a
 * semaphore that can be taken for reading or writing, which lies in an object whose root is the
 * object itself, can be such a lock. Whether that object is an anon_vma its slab cache says, asked
 * once a family; where the kernel cannot say, the stack of the waiting task does: one of the
 * functions that take the lock is on it. The stack gives the path as well; reading it is the dear
 * part, and done for the few that pass the other questions: not for a write in a fork or an exit,
 * of which there are most, and which take that lock for nothing else.
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

#define ANON_VMA_OF(lock) STRUCT_AROUND(lock, struct anon_vma, rwsem)

static __always_inline bool is_root_lock(u64 lock)
{
	struct anon_vma *anon_vma = ANON_VMA_OF(lock);

	return READ(anon_vma, root) == anon_vma;
}

/* The path of the innermost frame that has one, else LOCK_PATH_COUNT. */
static __always_inline u32 lock_path(void *ctx)
{
	u32 zero = 0, found = LOCK_PATH_COUNT;
	struct lock_frames *stack;
	volatile u64 *kept;
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
		if (path != LOCK_PATH_COUNT) {
			found = path;
			break;
		}
	}
	/* Through memory: the verifier would go on with each path to the end of the program. */
	kept = &stack->address[0];
	*kept = found;
	return *kept;
}

/* The cache is never merged, so that it has this name alone. */
static __always_inline bool is_anon_vma(u64 address)
{
	struct kmem_cache *cache = CACHE_OF(address);
	u64 name[2] = {}; /* eight letters, and the end */
	char *text;

	if (!cache)
		return false;
	text = READ(cache, name);
	if (bpf_probe_read_kernel_str(name, sizeof("anon_vma"), text) != sizeof("anon_vma"))
		return false;
	return !__builtin_memcmp(name, "anon_vma", 8);
}

/* kernel/locking/rwsem.c: of the owner of a semaphore. 5.10 and older have a third flag. */
#define OWNER_FLAGS 7UL
#define OWNED_BY_READERS 1UL

#define PF_EXITING 0x00000004 /* include/linux/sched.h */

/*
 * What a task that has the lock, or wants it for writing, is about, as far as it can be seen from
 * outside of the task.
 */
static __always_inline u32 path_of_writer(struct task_struct *task)
{
	if (find_fork_window(READ(task, pid)))
		return LOCK_PATH_FORK;
	return READ(task, flags) & PF_EXITING ? LOCK_PATH_UNMAP : LOCK_PATH_COUNT;
}

/*
 * The task that has the lock for writing; NULL where none has. Of readers the semaphore names the
 * last that came, which may have left.
 */
static __always_inline struct task_struct *holder_of(struct anon_vma *root)
{
	u64 owner;

	if (!EVENTS || !HAVE_anon_vma_lock_owner)
		return NULL;
	owner = READ(root, lock_owner);
	if (owner & OWNED_BY_READERS)
		return NULL;
	return (struct task_struct *)(owner & ~OWNER_FLAGS);
}

struct holder {
	u64 path_and_tgid; /* 0: none */
	u32 tid;
};

static __always_inline struct holder describe_holder(struct anon_vma *root)
{
	struct task_struct *task = holder_of(root);
	struct holder found = {};

	if (!task)
		return found;
	found.path_and_tgid = (u64)path_of_writer(task) << 32 | (u32)READ(task, tgid);
	found.tid = READ(task, pid);
	return found;
}

/* Kept with the wait: when it ends, another task may have the lock. */
static __always_inline void note_holder(struct holder *holder, u64 root)
{
	struct call *call = find_call(CALLED_LOCK_WAIT);

	if (!call)
		return;
	call->vmas = holder->path_and_tgid;
	call->chains = holder->tid;
	ask_for_stack(holder->tid, root);
}

/* The path of a wait for that root's lock; LOCK_PATH_COUNT where it is none. */
static __always_inline u32 path_of_wait(void *ctx, u64 root, u32 flags)
{
	bool known = find_family(root);
	u32 path = LOCK_PATH_COUNT;

	if (HAVE_CACHE_OF && !known && !is_anon_vma(root))
		return LOCK_PATH_COUNT;
	/* A lazy design promotes below a fork, which only the stack tells apart. */
	if (HAVE_CACHE_OF && !LAZY_DESIGN && flags == LOCK_WRITE)
		path = path_of_writer((struct task_struct *)bpf_get_current_task());
	if (path == LOCK_PATH_COUNT)
		path = lock_path(ctx);
	if (!HAVE_CACHE_OF && path == LOCK_PATH_COUNT)
		return LOCK_PATH_COUNT;
	if (!known)
		new_family(root);
	return path == LOCK_PATH_COUNT ? LOCK_PATH_OTHER : path;
}

static __always_inline void count_for_family(u64 root, struct call *call, u64 nanoseconds)
{
	struct family *family = find_family(root);

	if (!family)
		return;
	__sync_fetch_and_add(&family->waits, 1);
	__sync_fetch_and_add(&family->waited_ns, nanoseconds);
	if (call->flags & LOCK_WRITE)
		__sync_fetch_and_add(&family->write_waits, 1);
	if (call->detail < LOCK_PATH_COUNT)
		__sync_fetch_and_add(&family->by_path[call->detail], 1);
	if (nanoseconds > family->longest_ns)
		family->longest_ns = nanoseconds;
}

static __always_inline void event_holder(struct event *event, u64 holder)
{
	if (!holder)
		return;
	event->objects = (u32)holder;
	event->pages = (holder >> 32) + 1;
}

/* Of the function that takes the lock (holds.c). */
static __always_inline void wait_is_no_hold(enum called called, u64 nanoseconds)
{
	struct call *call = call_may_be_open(called) ? find_call(called) : NULL;

	if (call)
		call->vmas += nanoseconds;
}

static __always_inline u64 family_number(u64 root)
{
	struct family *family = find_family(root);

	return family ? family->number : 0;
}

int lock_wait_begins(u64 *ctx)
{
	u32 flags = ctx[1] & ~LOCK_RT, path;
	u64 start, root = (u64)ANON_VMA_OF(ctx[0]);
	struct holder holder;

	if (flags != LOCK_READ && flags != LOCK_WRITE)
		return 0;
	if (!is_root_lock(ctx[0]))
		return 0;
	start = bpf_ktime_get_ns(); /* reading the stack takes microseconds, and the task waits */
	holder = describe_holder((struct anon_vma *)root);
	path = path_of_wait(ctx, root, flags);
	if (path == LOCK_PATH_COUNT) {
		count_total(TOTAL_LOCKS_UNPLACED, 1);
		return 0;
	}
	call_began(CALLED_LOCK_WAIT, start, ctx[0], path, flags);
	if (holder.path_and_tgid)
		note_holder(&holder, root);
	return 0;
}

int lock_wait_ends(u64 *ctx)
{
	struct fork_window *window;
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
	add_total(&tally, TOTAL_LOCK_WAITS_BY_PATH + path, 1);
	observe(HISTOGRAM_LOCK_WAIT_SECONDS_BY_PATH + path, nanoseconds);
	window = find_fork_window(tally.tid);
	if (window) {
		window->waits++;
		window->waited += nanoseconds;
	}
	wait_is_no_hold(CALLED_CLONE, nanoseconds);
	wait_is_no_hold(CALLED_UNLINK, nanoseconds);
	count_for_family((u64)ANON_VMA_OF(ctx[0]), &call, nanoseconds);
	event = event_begin(EVENT_LOCK_WAIT, path, nanoseconds);
	if (event) {
		event->address = family_number((u64)ANON_VMA_OF(ctx[0]));
		event_holder(event, call.vmas);
		keep_stack_of_waiter(ctx, event->stamp, call.start, call.chains);
		event_end(event);
	}
	return 0;
}
