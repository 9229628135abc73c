// SPDX-License-Identifier: GPL-2.0-only
/*
 * The part of the workload with more than one process of a family: pages that several map, waits
 * for the lock that they share, and allocations that fail.
 *
 * "workload contend N": two processes, each on a CPU of its own, fork N times each.
 * "workload time PROGRAM": how long a program takes; see workload.c.
 * "workload fail N": N processes whose allocations fail now and then (make-it-fail) look whether
 * their pages still hold what was written, and say how often they were refused something.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

#define PATIENCE 900 /* seconds that a program of the user's may take */
#define REFUSED 11   /* VMAs of a process whose allocations fail */
#define GROUP "/sys/fs/cgroup/judge"

static int write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), failed;

	if (fd < 0)
		return -1;
	failed = write(fd, text, strlen(text)) < 0;
	close(fd);
	return failed ? -1 : 0;
}

static char *sea;

/* Pages that three processes map: a walk has to find each of them before the page can go anywhere.
 */
static void make_shared(void)
{
	sea = islands(ADVISED);
	touch(sea, ADVISED);
	for (int child = 0; child < 2; child++)
		if (!fork()) {
			syscall(SYS_prctl, 1, SIGKILL, 0, 0, 0);
			for (;;)
				pause();
		}
}

static void migrate_shared(void)
{
	long went = 0;

	for (long index = 0; index < ADVISED; index++) {
		void *at = sea + 2 * index * page;
		int from = node_of(at), to = from == 0, status = -1;

		/* MPOL_MF_MOVE_ALL */
		if (from >= 0 && !syscall(SYS_move_pages, 0, 1UL, &at, &to, &status, 4))
			went += status == to;
	}
	printf("share migrated_shared %ld %d\n", went, ADVISED);
}

/* By a group's own reclaim, which aims at pages with more than one process, too: MADV_PAGEOUT does
 * not. */
static void reclaim_shared(void)
{
	char bytes[32];
	long scanned = count_in(GROUP "/memory.stat", "pgscan"),
	     reclaimed = count_in(GROUP "/memory.stat", "pgsteal");

	snprintf(bytes, sizeof(bytes), "%ld", ADVISED * page);
	/* That less was reclaimed than was asked for (EAGAIN) is in the numbers. */
	write_to(GROUP "/memory.reclaim", bytes);
	scanned = count_in(GROUP "/memory.stat", "pgscan") - scanned;
	reclaimed = count_in(GROUP "/memory.stat", "pgsteal") - reclaimed;
	if (scanned > 0)
		printf("share reclaimed_shared %ld %ld\n", reclaimed, scanned);
}

void shared(void)
{
	pid_t pid;
	bool grouped;

	write_to("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	grouped = !mkdir(GROUP, 0755);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		grouped = grouped && !write_to(GROUP "/cgroup.procs", "0");
		make_shared();
		migrate_shared();
		if (grouped)
			reclaim_shared();
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		die("pages of several processes");
	usleep(200000); /* children that end with it */
	rmdir(GROUP);
}

/* Two that share the root of their anon_vmas fork at the same time. */
int contend(long times)
{
	pid_t pids[2];
	int begin[2], status, failed = 0;
	char byte;

	sea = islands(FEW);
	touch(sea, FEW);
	if (pipe2(begin, O_CLOEXEC))
		die("pipe");
	for (int index = 0; index < 2; index++) {
		pids[index] = fork();
		if (!pids[index]) {
			on_cpu(index);
			close(begin[1]);
			if (read(begin[0], &byte, 1) < 0)
				_exit(1);
			for (long round = 0; round < times; round++) {
				pid_t pid = fork();

				if (!pid)
					_exit(0);
				if (pid < 0 || waitpid(pid, NULL, 0) != pid)
					_exit(1);
			}
			_exit(0);
		}
		if (pids[index] < 0)
			die("fork");
	}
	close(begin[1]); /* they begin */
	for (int index = 0; index < 2; index++)
		failed |= waitpid(pids[index], &status, 0) != pids[index] || status;
	return failed;
}

struct tried {
	long rounds, refused, wrong;
};

/* Operations may be refused for want of memory; what a page holds may not change by that. */
static void check_pages(char *from, long count, char value, struct tried *tried)
{
	for (long index = 0; index < count; index++)
		if (*(volatile char *)(from + 2 * index * page) != value)
			tried->wrong++;
}

static void fail_once(struct tried *tried)
{
	char *mine = islands(REFUSED), *block;
	pid_t pid;

	if (write_to("/proc/self/make-it-fail", "1"))
		_exit(3);
	for (long index = 0; index < REFUSED; index++)
		*(volatile char *)(mine + 2 * index * page) = 23;
	for (int child = 0; child < 2; child++) {
		pid = fork();
		if (!pid) {
			check_pages(mine, REFUSED, 23, tried);
			for (long index = 0; index < REFUSED; index += 2)
				*(volatile char *)(mine + 2 * index * page) = 11;
			check_pages(mine + 2 * page, 1, 23, tried);
			_exit(0);
		}
		if (pid < 0)
			tried->refused++;
		else
			waitpid(pid, NULL, 0);
	}
	block = mmap(NULL, 7 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block != MAP_FAILED) {
		memset(block, 7, 7 * page);
		tried->refused += !!mprotect(block + 2 * page, page, PROT_READ);
		tried->refused += !!mprotect(block + 2 * page, page, PROT_READ | PROT_WRITE);
		tried->refused += !!madvise(block, 7 * page, PAGEOUT);
		if (mremap(block + 4 * page, page, page, MREMAP_MAYMOVE | MREMAP_FIXED,
			   mine + page) == MAP_FAILED)
			tried->refused++;
		else if (*(volatile char *)(mine + page) != 7)
			tried->wrong++;
		check_pages(block, 2, 7, tried);
		tried->refused += !!munmap(block + page, page);
	}
	check_pages(mine, REFUSED, 23, tried);
	_exit(0);
}

int fail_only(long times)
{
	struct tried *tried =
		mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, died = 0;

	if (tried == MAP_FAILED)
		die("mmap");
	for (long round = 0; round < times; round++) {
		pid_t pid = fork();

		if (!pid)
			fail_once(tried);
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			die("fork");
		if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
			fprintf(stderr, "workload: this kernel has no make-it-fail\n");
			return 3;
		}
		died += status != 0;
		tried->rounds++;
	}
	printf("rounds %ld refused %ld wrong %ld died %d\n", tried->rounds, tried->refused,
	       tried->wrong, died);
	return 0;
}

static pid_t program;

static void time_is_up(int number)
{
	(void)number;
	kill(-program, SIGKILL);
}

int time_program(const char *path)
{
	long long begin, took;
	int status;

	printf("script begins\n");
	fflush(stdout);
	begin = now();
	program = fork();
	if (!program) {
		setsid();
		if (!chdir("/tmp"))
			execl(path, path, NULL);
		_exit(127);
	}
	signal(SIGALRM, time_is_up);
	alarm(PATIENCE);
	while (program < 0 || waitpid(program, &status, 0) != program)
		if (errno != EINTR)
			die("the program");
	took = now() - begin;
	kill(-program, SIGKILL); /* what it left behind */
	/* Its last line may have no end. */
	printf("\nscript %lld %d\n", took,
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
