// SPDX-License-Identifier: GPL-2.0-only
/*
 * What `lazyobs judge` measures in each boot: one line "KIND NAME VALUE" a number on stdout.
 *
 *	memory WHAT.CACHE BYTES		gained in the slab cache by what is held
 *	cost WHAT NS			of one operation; with QEMU's -icount a nanosecond is an
 *instruction share WHAT DONE OF		operations that did what was asked
 *
 * Counts are primes. Everything runs on one CPU, one process at a time. "workload forks N" forks N
 * times instead, and says nothing: what is lost by that is counted from outside.
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

#define ISLANDS 5003 /* held alone */
#define FEW 101	     /* of a process that forks */
#define WRITTEN 23   /* of them, by a child */
#define ROUNDS 61
#define STARTED 23
#define ADVISED 211 /* pages that are paged out, in, and moved */
#define PAGEOUT 21  /* MADV_PAGEOUT, include/uapi/asm-generic/mman-common.h */
#define GLOBAL 1    /* MEMBARRIER_CMD_GLOBAL */

static long page;
static const char *const caches[] = { "anon_vma", "anon_vma_chain", "vm_area_struct" };

#define CACHES (sizeof(caches) / sizeof(*caches))

static void die(const char *what)
{
	fprintf(stderr, "workload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long long now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void cost(const char *name, long long begin, long operations)
{
	printf("cost %s %.1f\n", name, (double)(now() - begin) / operations);
	fflush(stdout);
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

/* VMAs apart by pages that cannot be accessed, so that none merges with another. */
static char *islands(long count)
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

static void touch(char *sea, long count)
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
	char *sea = islands(FEW);

	touch(sea, FEW);
	for (int child = 0; child < 7; child++)
		if (!fork()) {
			/* ends with its parent */
			syscall(SYS_prctl, 1, SIGKILL, 0, 0, 0);
			touch(sea, WRITTEN);
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

static void forks(const char *name, char *sea, int written)
{
	long long begin = now();

	for (int round = 0; round < ROUNDS; round++) {
		pid_t pid = fork();

		if (!pid) {
			touch(sea, written);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			die("fork");
	}
	cost(name, begin, ROUNDS);
}

static void costs(void)
{
	char *sea = islands(ISLANDS), *few, *one;
	long long begin = now();
	pid_t pid;

	touch(sea, ISLANDS);
	cost("first_touch", begin, ISLANDS);
	begin = now();
	if (munmap(sea, 2 * ISLANDS * page))
		die("munmap");
	cost("unmap", begin, ISLANDS);

	few = islands(FEW);
	touch(few, FEW);
	begin = now();
	pid = fork();
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	cost("first_fork", begin, 1);
	forks("fork", few, 0);
	forks("fork_and_write", few, WRITTEN);
	munmap(few, 2 * FEW * page);

	one = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(one, 1, 3 * page);
	begin = now();
	for (int round = 0; round < ISLANDS; round++)
		if (mprotect(one + page, page, PROT_READ) ||
		    mprotect(one + page, page, PROT_READ | PROT_WRITE))
			die("mprotect");
	cost("split_and_merge", begin, ISLANDS);
	begin = now();
	for (int round = 0; round < ISLANDS; round++) {
		one = mremap(one, 3 * page, 3 * page, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
		if (one == MAP_FAILED)
			die("mremap");
		*(volatile char *)one = 1;
	}
	cost("move", begin, ISLANDS);

	begin = now();
	for (int round = 0; round < WRITTEN; round++) {
		pid = vfork();
		if (!pid) {
			execl("/bin/true", "true", NULL);
			_exit(127);
		}
		waitpid(pid, NULL, 0);
	}
	cost("start_a_program", begin, WRITTEN);
}

static long vmstat(const char *wanted)
{
	FILE *rows = fopen("/proc/vmstat", "r");
	char name[80];
	long value, found = 0;

	while (rows && fscanf(rows, "%79s %ld", name, &value) == 2)
		if (!strcmp(name, wanted))
			found = value;
	if (rows)
		fclose(rows);
	return found;
}

static int node_of(void *at)
{
	int status = -1;

	if (syscall(SYS_move_pages, 0, 1UL, &at, NULL, &status, 0))
		return -1;
	return status;
}

/* What walks the reverse map from the page. */
static void walks(void)
{
	char *sea = islands(ADVISED);
	unsigned char there;
	long out = 0, moved = 0, failed = vmstat("pgmigrate_fail");
	long long begin;

	touch(sea, ADVISED);
	begin = now();
	for (long index = 0; index < ADVISED; index++)
		madvise(sea + 2 * index * page, page, PAGEOUT);
	cost("page_out", begin, ADVISED);
	for (long index = 0; index < ADVISED; index++)
		out += !mincore(sea + 2 * index * page, page, &there) && !(there & 1);
	printf("share paged_out %ld %d\n", out, ADVISED);
	begin = now();
	touch(sea, ADVISED);
	cost("page_in", begin, ADVISED);
	begin = now();
	for (long index = 0; index < ADVISED; index++) {
		void *at = sea + 2 * index * page;
		int from = node_of(at), to = from == 0, status = -1;

		if (from >= 0 && !syscall(SYS_move_pages, 0, 1UL, &at, &to, &status, 2))
			moved += status == to;
	}
	cost("migrate", begin, ADVISED);
	printf("share migrated %ld %d\n", moved, ADVISED);
	printf("count migration_failures %ld\n", vmstat("pgmigrate_fail") - failed);
	fflush(stdout);
}

static int fork_only(long times)
{
	char *sea = islands(WRITTEN);

	touch(sea, WRITTEN);
	for (long round = 0; round < times; round++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			die("fork");
	}
	return 0;
}

int main(int argc, char **argv)
{
	cpu_set_t first;

	page = sysconf(_SC_PAGESIZE);
	if (argc == 3 && !strcmp(argv[1], "forks"))
		return fork_only(atol(argv[2]));
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (sched_setaffinity(0, sizeof(first), &first))
		die("sched_setaffinity");
	/* What a first run reads from the host. */
	start();
	printf("begin\n");
	hold("alone", make_alone);
	hold("family", make_family);
	start();
	costs();
	walks();
	printf("done\n");
	return 0;
}
