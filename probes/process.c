// SPDX-License-Identifier: GPL-2.0-only
/* Processes: fork, exec and exit. */

/* The tgid is reused, and the child has not run yet. */
static __always_inline void forget_ended(u32 tgid)
{
	struct process_slot *slot = process_slot_of(tgid);

	if (slot && slot->owner == SLOT_ENDED(tgid))
		slot_changes(&slot->owner, SLOT_ENDED(tgid), SLOT_FREE);
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
	return HAVE_mm_struct_map_count ? READ(mm, map_count) : EVENT_UNKNOWN;
}

static __always_inline u32 threads_of_parent(void)
{
	struct task_struct *parent = (struct task_struct *)bpf_get_current_task();
	struct signal_struct *signal = READ(parent, signal);

	return HAVE_signal_struct_nr_threads ? READ(signal, nr_threads) : 0;
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
		if (window) {
			add(&tally, COUNT_FORK_CHAINS, window->chains);
			observe(HISTOGRAM_FORK_DURATION_SECONDS,
				bpf_ktime_get_ns() - window->since);
			if (window->nanoseconds)
				observe(HISTOGRAM_FORK_SECONDS, window->nanoseconds);
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
	u64 owner;

	if (!slot)
		return;
	owner = slot->owner;
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

int process_exit(u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0;
	struct exited *gone = exited.lookup(&zero);

	if (!gone || !group_is_dead(task))
		return 0;
	release_slot(tgid, gone);
	release_entry(tgid, gone);
	return 0;
}
