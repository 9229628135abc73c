/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * run_programs BEGIN END LOCK FLAGS COUNT: runs two raw tracepoint programs, by their descriptors,
 * COUNT times each, as a wait for the lock at that address would. BPF_PROG_TEST_RUN, 5.10.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROG_TEST_RUN 10

/* union bpf_attr, the part of that command */
struct test_run {
	uint32_t prog_fd, retval, data_size_in, data_size_out;
	uint64_t data_in, data_out;
	uint32_t repeat, duration, ctx_size_in, ctx_size_out;
	uint64_t ctx_in, ctx_out;
	uint32_t flags, cpu, batch_size, unused;
};

int main(int argc, char **argv)
{
	uint64_t first[12] = { 0 }, second[12] = { 0 };
	struct test_run begin, end;

	if (argc != 6)
		return 2;
	memset(&begin, 0, sizeof(begin));
	begin.prog_fd = atoi(argv[1]);
	begin.ctx_size_in = sizeof(first);
	end = begin;
	end.prog_fd = atoi(argv[2]);
	begin.ctx_in = (uint64_t)first;
	end.ctx_in = (uint64_t)second;
	first[0] = second[0] = strtoull(argv[3], NULL, 0);
	first[1] = strtoull(argv[4], NULL, 0);
	for (long left = atol(argv[5]); left > 0; left--)
		if (syscall(SYS_bpf, PROG_TEST_RUN, &begin, sizeof(begin)) ||
		    syscall(SYS_bpf, PROG_TEST_RUN, &end, sizeof(end)))
			return 1;
	return 0;
}
