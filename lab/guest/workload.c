// SPDX-License-Identifier: GPL-2.0-only
/*
 * What `lazyobs judge` measures in each boot: one line "KIND NAME VALUE" a number on stdout.
 *
 *	memory WHAT.CACHE BYTES		gained in the slab cache by what is held
 *	cost WHAT NS			of one operation; with QEMU's -icount a nanosecond is an
 *					instruction
 *	share WHAT DONE OF		operations that did what was asked
 *
 * Counts are primes. Everything runs on one CPU, one process at a time. With two words it does one
 * thing instead:
 *
 * "workload forks N" forks N times, and says nothing: what is lost by that is counted from outside.
 * "workload time PROGRAM" runs a program of the user's, whose lines go to stdout as they are, and
 * says "script NS STATUS"; "workload contend N" and "workload fail N": see family.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "workload.h"

#define ISLANDS 5003 /* held alone */
#define WRITTEN 23   /* of them, by a child */
#define ROUNDS 61
#define FIRST 11 /* processes that fork for the first time */
#define STARTED 23
#define GLOBAL 1 /* MEMBARRIER_CMD_GLOBAL */

long page;
static const char *const caches[] = { "anon_vma", "anon_vma_chain", "vm_area_struct" };

#define CACHES (sizeof(caches) / sizeof(*caches))

void die(const char *what)
{
	fprintf(stderr, "workload: %s: %s\n", what, strerror(errno));
	exit(1);
}

void on_cpu(int number)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(number, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		die("sched_setaffinity");
}

long long now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static int by_size(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

/* The median: what the kernel does now and then in between falls on few rounds. */
static void cost(const char *name, double *rounds, int count)
{
	qsort(rounds, count, sizeof(*rounds), by_size);
	printf("cost %s %.1f\n", name, rounds[count / 2]);
	fflush(stdout);
}

/* Does it ``count`` times, in rounds. */
static void timed(const char *name, void (*operation)(long), long count)
{
	double rounds[ROUNDS];

	for (long round = 0; round < ROUNDS; round++) {
		long from = round * count / ROUNDS, to = (round + 1) * count / ROUNDS;
		long long begin = now();

		for (long index = from; index < to; index++)
			operation(index);
		rounds[round] = (double)(now() - begin) / (to - from);
	}
	cost(name, rounds, ROUNDS);
}

/* Waits for a grace period and shrinks the caches: what is left is live. */
static void settle(void)
{
	for (int round = 0; round < 2; round++) {
		if (syscall(SYS_membarrier, GLOBAL, 0, 0))
			die("membarrier");
		for (size_t index = 0; index < CACHES; index++) {
			char path[80];
			int fd;

			snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", caches[index]);
			fd = open(path, O_WRONLY);
			if (fd < 0 || write(fd, "1", 1) != 1)
				die(path);
			close(fd);
		}
	}
}

/* Bytes of live objects by slabinfo. */
static void live(long long *bytes)
{
	FILE *rows = fopen("/proc/slabinfo", "r");
	char line[512], name[64];
	long long active, all, size;

	memset(bytes, 0, CACHES * sizeof(*bytes));
	if (!rows)
		die("/proc/slabinfo");
	while (fgets(line, sizeof(line), rows))
		if (sscanf(line, "%63s %lld %lld %lld", name, &active, &all, &size) == 4)
			for (size_t index = 0; index < CACHES; index++)
				if (!strcmp(name, caches[index]))
					bytes[index] = active * size;
	fclose(rows);
}

static void gained(const char *what, const long long *before)
{
	long long after[CACHES];

	settle();
	live(after);
	for (size_t index = 0; index < CACHES; index++)
		printf("memory %s.%s %lld\n", what, caches[index], after[index] - before[index]);
	fflush(stdout);
}

char *islands(long count)
{
	char *sea = mmap(NULL, 2 * count * page, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (sea == MAP_FAILED)
		die("mmap");
	for (long index = 0; index < count; index++)
		if (mprotect(sea + 2 * index * page, page, PROT_READ | PROT_WRITE))
			die("mprotect");
	return sea;
}

void touch(char *sea, long count)
{
	for (long index = 0; index < count; index++)
		*(volatile char *)(sea + 2 * index * page) = 1;
}

/* A process that does that and then holds it until it is killed; returns when it is ready. */
static pid_t held(void (*make)(void))
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (!pid) {
		make();
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (pid < 0 || read(ready[0], &byte, 1) != 1)
		die("a process that holds memory");
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void make_alone(void)
{
	touch(islands(ISLANDS), ISLANDS);
}

static void make_family(void)
{
	char *mine = islands(FEW);

	touch(mine, FEW);
	for (int child = 0; child < 7; child++)
		if (!fork()) {
			/* ends with its parent */
			syscall(SYS_prctl, 1, SIGKILL, 0, 0, 0);
			touch(mine, WRITTEN);
			for (;;)
				pause();
		}
	/* Until the children have written: they run on this CPU, one after the other. */
	for (int yields = 0; yields < 200; yields++)
		usleep(1000);
}

static void hold(const char *what, void (*make)(void))
{
	long long before[CACHES];
	pid_t pid;

	settle();
	live(before);
	pid = held(make);
	gained(what, before);
	end(pid);
	usleep(200000); /* children that end with it */
}

/* Programs, as a desktop or a phone starts them: what their libraries and heaps need. */
static void start(void)
{
	long long before[CACHES];
	pid_t pids[STARTED];

	settle();
	live(before);
	for (int index = 0; index < STARTED; index++) {
		pids[index] = fork();
		if (!pids[index]) {
			execl("/bin/sleep", "sleep", "1000", NULL);
			_exit(127);
		}
	}
	for (int waits = 0; waits < 500; waits++)
		usleep(1000);
	gained("started", before);
	for (int index = 0; index < STARTED; index++)
		end(pids[index]);
}

static char *sea;

static void touch_one(long index)
{
	*(volatile char *)(sea + 2 * index * page) = 1;
}

static void unmap_one(long index)
{
	if (munmap(sea + 2 * index * page, 2 * page))
		die("munmap");
}

static void fork_and_touch(int written)
{
	pid_t pid = fork();

	if (!pid) {
		touch(sea, written);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		die("fork");
}

static void fork_one(long index)
{
	(void)index;
	fork_and_touch(0);
}

static void fork_and_write_one(long index)
{
	(void)index;
	fork_and_touch(WRITTEN);
}

/* Each of a new process, whose VMAs no fork has copied. */
static void first_forks(void)
{
	double rounds[FIRST];

	for (int round = 0; round < FIRST; round++) {
		int result[2];
		pid_t pid;

		if (pipe2(result, O_CLOEXEC))
			die("pipe");
		pid = fork();
		if (!pid) {
			long long begin;

			sea = islands(FEW);
			touch(sea, FEW);
			begin = now();
			fork_and_touch(0);
			begin = now() - begin;
			_exit(write(result[1], &begin, sizeof(begin)) != sizeof(begin));
		}
		close(result[1]);
		long long took = 0;

		if (pid < 0 || read(result[0], &took, sizeof(took)) != sizeof(took))
			die("a first fork");
		close(result[0]);
		waitpid(pid, NULL, 0);
		rounds[round] = took;
	}
	cost("first_fork", rounds, FIRST);
}

static char *three;

static void split_and_merge_one(long index)
{
	(void)index;
	if (mprotect(three + page, page, PROT_READ) ||
	    mprotect(three + page, page, PROT_READ | PROT_WRITE))
		die("mprotect");
}

static void move_one(long index)
{
	(void)index;
	three = mremap(three, 3 * page, 3 * page, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	if (three == MAP_FAILED)
		die("mremap");
	*(volatile char *)three = 1;
}

/* This program in memory: what lies on the host is waited for, and the clock leaps meanwhile. */
#define NOTHING "/tmp/nothing"

static void start_one(long index)
{
	pid_t pid = vfork();

	(void)index;
	if (!pid) {
		execl(NOTHING, "workload", "nothing", NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		die("vfork");
}

static void copy_this_program(void)
{
	static char data[1 << 16];
	int from = open("/proc/self/exe", O_RDONLY), to = open(NOTHING, O_WRONLY | O_CREAT, 0755);
	ssize_t length;

	if (from < 0 || to < 0)
		die(NOTHING);
	while ((length = read(from, data, sizeof(data))) > 0)
		if (write(to, data, length) != length)
			die(NOTHING);
	close(from);
	close(to);
}

static void costs(void)
{
	sea = islands(ISLANDS);
	timed("first_touch", touch_one, ISLANDS);
	timed("unmap", unmap_one, ISLANDS);
	first_forks();
	sea = islands(FEW);
	touch(sea, FEW);
	fork_and_touch(0);
	timed("fork", fork_one, ROUNDS);
	timed("fork_and_write", fork_and_write_one, ROUNDS);
	munmap(sea, 2 * FEW * page);

	three = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(three, 1, 3 * page);
	timed("split_and_merge", split_and_merge_one, ISLANDS);
	timed("move", move_one, ISLANDS);
	copy_this_program();
	start_one(0);
	timed("start_a_program", start_one, ROUNDS);
}

long count_in(const char *path, const char *wanted)
{
	FILE *rows = fopen(path, "r");
	char name[80];
	long value, found = 0;

	while (rows && fscanf(rows, "%79s %ld", name, &value) == 2)
		if (!strcmp(name, wanted))
			found = value;
	if (rows)
		fclose(rows);
	return found;
}

int node_of(void *at)
{
	int status = -1;

	if (syscall(SYS_move_pages, 0, 1UL, &at, NULL, &status, 0))
		return -1;
	return status;
}

static void page_out_one(long index)
{
	madvise(sea + 2 * index * page, page, PAGEOUT);
}

static long moved;

static void migrate_one(long index)
{
	void *at = sea + 2 * index * page;
	int from = node_of(at), to = from == 0, status = -1;

	if (from >= 0 && !syscall(SYS_move_pages, 0, 1UL, &at, &to, &status, 2))
		moved += status == to;
}

/* What walks the reverse map from the page. */
static void walks(void)
{
	unsigned char there;
	long out = 0, failed = count_in("/proc/vmstat", "pgmigrate_fail");

	sea = islands(ADVISED);
	touch(sea, ADVISED);
	timed("page_out", page_out_one, ADVISED);
	for (long index = 0; index < ADVISED; index++)
		out += !mincore(sea + 2 * index * page, page, &there) && !(there & 1);
	printf("share paged_out %ld %d\n", out, ADVISED);
	timed("page_in", touch_one, ADVISED);
	timed("migrate", migrate_one, ADVISED);
	printf("share migrated %ld %d\n", moved, ADVISED);
	printf("count migration_failures %ld\n",
	       count_in("/proc/vmstat", "pgmigrate_fail") - failed);
	fflush(stdout);
}

static int fork_only(long times)
{
	sea = islands(WRITTEN);
	touch(sea, WRITTEN);
	for (long round = 0; round < times; round++)
		fork_and_touch(0);
	return 0;
}

int main(int argc, char **argv)
{
	page = sysconf(_SC_PAGESIZE);
	if (argc == 2 && !strcmp(argv[1], "nothing"))
		return 0;
	if (argc == 3 && !strcmp(argv[1], "forks"))
		return fork_only(atol(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "time"))
		return time_program(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "contend"))
		return contend(atol(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "fail"))
		return fail_only(atol(argv[2]));
	on_cpu(0);
	/* What a first run reads from the host. */
	start();
	printf("begin\n");
	hold("alone", make_alone);
	hold("family", make_family);
	start();
	costs();
	walks();
	shared();
	printf("done\n");
	return 0;
}
