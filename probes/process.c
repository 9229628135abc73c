// SPDX-License-Identifier: GPL-2.0-only
/* Births, new names and deaths of processes. */

/* A tgid that is used again: the child has not run yet. */
static __always_inline void forget_ended(u32 tgid)
{
	struct seat *seat = seat_of(tgid);

	if (seat && seat->owner == SEAT_ENDED(tgid))
		seat_changes(&seat->owner, SEAT_ENDED(tgid), SEAT_FREE);
}

int process_fork(u64 *ctx)
{
	struct task_struct *child = (struct task_struct *)ctx[1];
	u32 tid = bpf_get_current_pid_tgid();
	struct fork_window *window = find_fork_window(tid);
	struct event *event;
	struct tally tally;
	u64 nanoseconds;
	u32 tgid = READ(child->tgid);

	if (READ(child->pid) == tgid) {
		forget_ended(tgid);
		find_tally(&tally);
		add(&tally, SLOT_FORKS, 1);
		if (window) {
			add(&tally, SLOT_FORK_CHAINS, window->chains);
			if (window->nanoseconds)
				observe(HISTOGRAM_FORK_SECONDS, window->nanoseconds);
		}
		nanoseconds = window ? window->nanoseconds : 0;
		event = event_begin(EVENT_FORK, 0, nanoseconds ? nanoseconds : EVENT_NO_DURATION);
		if (event) {
			event->objects = event_number(EVENT_KNOWS_CHAINS, window ? window->chains : 0);
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
	return 0;
}

/*
 * Two last threads can both find the group dead: whoever gets the seat, or deletes the entry, folds it.
 * What another thread adds meanwhile stays in the seat, for its next owner, rather than being lost.
 */
static __always_inline void give_up_seat(u32 tgid, struct exited *gone)
{
	struct seat *seat = seat_of(tgid);
	u64 owner;

	if (!seat)
		return;
	owner = seat->owner;
	if (seat_is_to_be_had(owner))
		seat_changes(&seat->owner, owner, SEAT_ENDED(tgid));
	if (!seat_changes(&seat->owner, SEAT_OPEN(tgid), SEAT_CHANGING(tgid)))
		return;
#pragma clang loop unroll(disable)
	for (int slot = 0; slot < PROCESS_SLOTS; slot++) {
		u64 count = seat->process.counts[slot];

		if (!count)
			continue;
		__sync_fetch_and_add(&gone->counts[slot], count);
		__sync_fetch_and_add(&seat->process.counts[slot], -count);
	}
	seat_changes(&seat->owner, SEAT_CHANGING(tgid), SEAT_ENDED(tgid));
}

/* From a copy: a deleted entry may be given to another process at once. */
static __always_inline void give_up_entry(u32 tgid, struct exited *gone)
{
	struct process *process = processes.lookup(&tgid);
	u64 counts[PROCESS_SLOTS];

	if (!process)
		return;
	__builtin_memcpy(counts, process->counts, sizeof(counts));
	if (processes.delete(&tgid))
		return;
#pragma clang loop unroll(disable)
	for (int slot = 0; slot < PROCESS_SLOTS; slot++)
		__sync_fetch_and_add(&gone->counts[slot], counts[slot]);
}

int process_exit(u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0;
	struct exited *gone = exited.lookup(&zero);

	if (!gone || !group_is_dead(task))
		return 0;
	give_up_seat(tgid, gone);
	give_up_entry(tgid, gone);
	return 0;
}
