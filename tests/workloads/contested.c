// SPDX-License-Identifier: MIT
/*
 * contested N: N private anonymous one-page VMAs, kept apart by PROT_NONE guards, and a thread that
 * can hold mmap_lock. Obeys one command a line and answers "ok":
 *   contest  write to every island, while the thread changes the protection of other memory: most
 *            of the time it has mmap_lock for writing
 * The thread and its memory are there before the first command.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OTHER (16L << 20)

static char *base, *other;
static long page;
static volatile bool stop;
static int begin[2], over[2];

static void *change_protection(void *unused)
{
	char byte;

	while (read(begin[0], &byte, 1) == 1) {
		while (!stop) {
			mprotect(other, OTHER, PROT_READ);
			mprotect(other, OTHER, PROT_READ | PROT_WRITE);
		}
		if (write(over[1], &byte, 1) != 1)
			_exit(3);
	}
	return unused;
}

static char *guarded(long bytes)
{
	char *found = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (found == MAP_FAILED || madvise(found, bytes, MADV_NOHUGEPAGE))
		_exit(1);
	return found;
}

static void contest(long count)
{
	char byte = 0;

	stop = false;
	if (write(begin[1], &byte, 1) != 1)
		_exit(3);
	for (long i = 0; i < count; i++) {
		base[(2 * i + 1) * page] = (char)i;
		usleep(100);
	}
	stop = true;
	if (read(over[0], &byte, 1) != 1)
		_exit(3);
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0;
	pthread_t thread;
	char line[32];

	page = sysconf(_SC_PAGESIZE);
	base = guarded((2 * count + 1) * page);
	for (long i = 0; i < count; i++)
		if (mprotect(base + (2 * i + 1) * page, page, PROT_READ | PROT_WRITE))
			return 1;
	other = guarded(OTHER + 2 * page) + page;
	if (mprotect(other, OTHER, PROT_READ | PROT_WRITE) || pipe(begin) || pipe(over))
		return 1;
	memset(other, 1, OTHER);
	if (pthread_create(&thread, NULL, change_protection, NULL))
		return 1;
	if (write(1, "ok\n", 3) != 3)
		return 3;
	while (read(0, line, sizeof(line)) > 0) {
		contest(count);
		if (write(1, "ok\n", 3) != 3)
			return 3;
	}
	return 0;
}
