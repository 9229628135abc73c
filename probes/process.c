// SPDX-License-Identifier: GPL-2.0-only
/* Processes: fork, exec and exit; and what those of one name were in their lives. */

/* include/linux/sched.h */
#define PF_FORKNOEXEC 0x00000040
#define PF_KTHREAD 0x00200000

/* When the first of these programs ran: a process that began later was seen from its birth on. */
BPF_TABLE("array", u32, u64, lives, 1);

/* The processes that ended last, by tgid: two threads that exit at once both see a dead group. */
BPF_TABLE("array", u32, u64, endings, ENDINGS);

static __always_inline bool ends_first(u32 tgid, u64 start)
{
	u64 identity = start << 22 | (tgid & 0x3FFFFF), before, *last;
	u32 index = tgid & (ENDINGS - 1);

	last = endings.lookup(&index);
	if (!last)
		return false;
	before = *last;
	if (before == identity)
		return false;
	if (!HAVE_COMPARE_AND_SWAP) {
		*last = identity;
		return true;
	}
	return slot_changes(last, before, identity) || *last != identity;
}

struct program_name {
	char comm[16];
};

BPF_TABLE("hash", struct program_name, struct program, programs, PROGRAM_ENTRIES);

static __always_inline u64 watched_since(void)
{
	u32 zero = 0;
	u64 *since = lives.lookup(&zero);

	if (!since)
		return ~0ULL;
	if (!*since)
		*since = bpf_ktime_get_boot_ns();
	return *since;
}

/* The fork has copied the VMAs that the child's mm has. */
static __always_inline void count_copying_fork(struct tally *tally, struct task_struct *child)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct signal_struct *signal = READ(task, signal);
	struct mm_struct *mm = READ(child, mm);

	add(tally, COUNT_COPYING_FORKS, 1);
	add(tally, COUNT_FORK_VMAS, READ(mm, map_count));
	add(tally, COUNT_FORK_THREADS, READ(signal, nr_threads));
	if (READ(task, flags) & PF_FORKNOEXEC)
		add(tally, COUNT_FORKS_AGAIN, 1);
}

/* The tgid is reused, and the child has not run yet. */
static __always_inline void forget_ended(u32 tgid)
{
	struct process_slot *slot = process_slot_of(tgid);

	if (slot->owner == SLOT_ENDED(tgid))
		slot_changes(&slot->owner, SLOT_ENDED(tgid), SLOT_FREE);
}

/*
 * The slowest fork that each CPU has finished in each 2^SLOW_FORK_SHIFT ns (4.3 s), of the last
 * minute.
 */
BPF_TABLE("percpu_array", u32, struct slow_fork, slow_forks, SLOW_FORKS);

static __always_inline void note_slow_fork(struct fork_window *window, struct task_struct *child,
					   u64 nanoseconds)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct task_struct *leader = READ(task, group_leader);
	struct signal_struct *signal = READ(task, signal);
	struct mm_struct *mm = READ(child, mm);
	u64 now = bpf_ktime_get_boot_ns(), part = now >> SLOW_FORK_SHIFT;
	u32 index = part & (SLOW_FORKS - 1);
	struct slow_fork *slot;

	slot = slow_forks.lookup(&index);
	if (!slot || (slot->stamp >> SLOW_FORK_SHIFT == part && slot->nanoseconds >= nanoseconds))
		return;
	slot->stamp = now;
	slot->start = READ(leader, start_boottime);
	slot->nanoseconds = nanoseconds;
	slot->anon_nanoseconds = window->nanoseconds;
	slot->page_table_nanoseconds = window->page_tables;
	slot->waited = window->waited;
	slot->waits = window->waits;
	slot->chains = window->chains;
	slot->vmas = READ(mm, map_count);
	slot->threads = READ(signal, nr_threads);
	slot->tgid = READ(task, tgid);
	slot->child = READ(child, tgid);
	bpf_probe_read_kernel(slot->comm, sizeof(slot->comm), MEMBER(leader, comm));
}

/* A child is of the command if its parent is, whoever becomes its parent later. */
static __always_inline void follow_child(u32 parent, u32 child)
{
	if (FOLLOWS)
		follow_as(child, followed_as(child), followed_as(parent) ? FOLLOWED_MEMBER : 0);
}

/* VMAs that the child got copies of: none where it shares the address space (vfork, CLONE_VM). */
static __always_inline u32 vmas_copied(struct task_struct *child)
{
	struct task_struct *parent = (struct task_struct *)bpf_get_current_task();
	struct mm_struct *mm = READ(child, mm);

	if (mm == READ(parent, mm))
		return 0;
	return READ(mm, map_count);
}

static __always_inline u32 threads_of_parent(void)
{
	struct task_struct *parent = (struct task_struct *)bpf_get_current_task();
	struct signal_struct *signal = READ(parent, signal);

	return READ(signal, nr_threads);
}

int process_fork(u64 *ctx)
{
	struct task_struct *child = (struct task_struct *)ctx[1];
	u32 tid = bpf_get_current_pid_tgid();
	struct fork_window *window = find_fork_window(tid);
	struct event *event;
	struct tally tally;
	u64 nanoseconds;
	u32 tgid = READ(child, tgid);

	if (READ(child, pid) == tgid) {
		forget_ended(tgid);
		follow_child(bpf_get_current_pid_tgid() >> 32, tgid);
		find_tally(&tally);
		add(&tally, COUNT_FORKS, 1);
		watched_since();
		if (window) {
			count_copying_fork(&tally, child);
			add(&tally, COUNT_FORK_CHAINS, window->chains);
			nanoseconds = bpf_ktime_get_ns() - window->since;
			observe(HISTOGRAM_FORK_DURATION_SECONDS, nanoseconds);
			note_slow_fork(window, child, nanoseconds);
			if (window->nanoseconds)
				observe(HISTOGRAM_FORK_SECONDS, window->nanoseconds);
			if (window->page_tables)
				observe(HISTOGRAM_FORK_PAGE_TABLE_SECONDS, window->page_tables);
			if (window->anon_since)
				count_total(TOTAL_RETURNS_MISSED, 1);
		}
		nanoseconds = window ? window->nanoseconds : 0;
		event = event_begin(EVENT_FORK, 0, nanoseconds ? nanoseconds : EVENT_NO_DURATION);
		if (event) {
			event->objects =
				event_number(EVENT_KNOWS_CHAINS, window ? window->chains : 0);
			event->address = (u64)threads_of_parent() << 32 | tgid;
			event->pages = vmas_copied(child);
			event_end(event);
		}
	}
	if (window)
		close_fork_window(tid);
	return 0;
}

int process_exec(u64 *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct process *process = find_process(tgid);

	if (process)
		bpf_get_current_comm(process->comm, sizeof(process->comm));
	if (FOLLOWS && followed_as(tgid) == FOLLOWED_STARTING)
		follow_as(tgid, FOLLOWED_STARTING, FOLLOWED_MEMBER);
	return 0;
}

/*
 * Two exiting threads can both see a dead group: the one that gets the slot, or deletes the entry,
 * folds it. What another thread adds meanwhile stays in the slot and is counted for its next owner,
 * rather than lost.
 */
static __always_inline void release_slot(u32 tgid, struct exited *gone)
{
	struct process_slot *slot = process_slot_of(tgid);
	u64 owner = slot->owner;

	if (slot_is_available(owner))
		slot_changes(&slot->owner, owner, SLOT_ENDED(tgid));
	if (!slot_changes(&slot->owner, SLOT_OPEN(tgid), SLOT_CHANGING(tgid)))
		return;
#pragma clang loop unroll(disable)
	for (int index = 0; index < PROCESS_COUNTS; index++) {
		u64 count = slot->process.counts[index];

		if (!count)
			continue;
		__sync_fetch_and_add(&gone->counts[index], count);
		__sync_fetch_and_add(&slot->process.counts[index], -count);
	}
	slot_changes(&slot->owner, SLOT_CHANGING(tgid), SLOT_ENDED(tgid));
}

/* From a copy: a deleted entry may be given to another process at once. */
static __always_inline void release_entry(u32 tgid, struct exited *gone)
{
	struct process *process = processes.lookup(&tgid);
	u64 counts[PROCESS_COUNTS];

	if (!process)
		return;
	__builtin_memcpy(counts, process->counts, sizeof(counts));
	if (processes.delete(&tgid))
		return;
#pragma clang loop unroll(disable)
	for (int index = 0; index < PROCESS_COUNTS; index++)
		__sync_fetch_and_add(&gone->counts[index], counts[index]);
}

static __always_inline struct program *program_of(struct task_struct *leader)
{
	struct program_name name = {};
	struct program fresh = {}, *program;

	bpf_probe_read_kernel_str(name.comm, sizeof(name.comm), MEMBER(leader, comm));
	program = programs.lookup(&name);
	if (program)
		return program;
	programs.insert(&name, &fresh);
	program = programs.lookup(&name);
	if (!program)
		count_total(TOTAL_PROGRAM_MAP_FULL, 1);
	return program;
}

/* A chain that a fork cloned is of a VMA that it shared; several forks can have shared the same. */
static __always_inline void add_life(struct program *program, u64 *counts)
{
	u64 made = counts[COUNT_PREPARES_BY_SITE], shared = counts[COUNT_FORK_CHAINS];

	__sync_fetch_and_add(&program->copying_forks, counts[COUNT_COPYING_FORKS]);
	__sync_fetch_and_add(&program->fork_vmas, counts[COUNT_FORK_VMAS]);
	__sync_fetch_and_add(&program->fork_threads, counts[COUNT_FORK_THREADS]);
	__sync_fetch_and_add(&program->forks_again, counts[COUNT_FORKS_AGAIN]);
	__sync_fetch_and_add(&program->prepares, made);
	if (made > shared)
		__sync_fetch_and_add(&program->exclusive, made - shared);
}

/* Before its counts are folded. */
static __always_inline void life_ends(u32 tgid, struct task_struct *task, struct exited *gone)
{
	struct task_struct *leader = READ(task, group_leader);
	struct process_slot *slot = process_slot_of(tgid);
	struct process *process = processes.lookup(&tgid);
	u64 start = READ(leader, start_boottime), copied = 0;
	struct program *program;

	if (READ(task, flags) & PF_KTHREAD || start < watched_since() || !ends_first(tgid, start))
		return;
	program = program_of(leader);
	if (slot->owner == SLOT_OPEN(tgid)) {
		copied += slot->process.counts[COUNT_COPYING_FORKS];
		if (program)
			add_life(program, slot->process.counts);
	}
	if (process) {
		copied += process->counts[COUNT_COPYING_FORKS];
		if (program)
			add_life(program, process->counts);
	}
	count_total(COUNT_ENDS, 1);
	__sync_fetch_and_add(&gone->counts[COUNT_ENDS], 1);
	if (program)
		__sync_fetch_and_add(&program->ends, 1);
	if (!copied)
		return;
	count_total(COUNT_ENDS_FORKED, 1);
	__sync_fetch_and_add(&gone->counts[COUNT_ENDS_FORKED], 1);
	if (program)
		__sync_fetch_and_add(&program->ends_forked, 1);
}

int process_exit(u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0;
	struct exited *gone = exited.lookup(&zero);

	if (!gone || !group_is_dead(task))
		return 0;
	life_ends(tgid, task, gone);
	release_slot(tgid, gone);
	release_entry(tgid, gone);
	return 0;
}
