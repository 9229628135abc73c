// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events in known numbers, for the tests and the benchmark of the ring.
 *
 * "produce" is run by BPF_PROG_TEST_RUN: ctx[0] is the first number, ctx[1] how many, ctx[2] the
 * producer. "produce_at_syscall" is a second producer with a life of its own: one event for every
 * system call of the process in producer_target. Every field of a record follows from its number,
 * so that a torn or misplaced record cannot pass.
 */

#define MOST_AT_ONCE 128

BPF_TABLE("array", u32, u64, producer_numbers, 2);
BPF_TABLE("array", u32, u32, producer_target, 1);

static __always_inline void produce_one(u64 number, u32 producer)
{
	struct event *event = event_begin(producer, number & 7, number & 0xffff);

	if (!event)
		return;
	event->address = number;
	event->pages = (u32)number * 2654435761U;
	event->objects = ~(u32)number;
	event_end(event);
}

int produce(u64 *ctx)
{
	u64 number = ctx[0], left = ctx[1];
	u32 producer = ctx[2];

	for (int i = 0; i < MOST_AT_ONCE; i++) {
		if (i >= left)
			break;
		produce_one(number + i, producer);
	}
	return 0;
}

int produce_at_syscall(u64 *ctx)
{
	u32 zero = 0, one = 1, *target = producer_target.lookup(&zero);
	u64 *number;

	if (!target || *target != bpf_get_current_pid_tgid() >> 32)
		return 0;
	number = producer_numbers.lookup(&one);
	if (number)
		produce_one(__sync_fetch_and_add(number, 1), 1);
	return 0;
}
