// SPDX-License-Identifier: MIT
/*
 * Instructions of loops, by a clock that counts them (lab/run --icount): prints JSON, {loop:
 * instructions per turn}. Each loop is run five times and the middle figure taken.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TURNS 211
#define REPEATS 5
#define ISLANDS 101
#define PAGE 4096

static char *islands[ISLANDS];

static long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void loop_fork(void)
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	waitpid(child, NULL, 0);
}

static char *mapped;

static void loop_mmap_touch(void)
{
	mapped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*mapped = 1;
}

static void loop_munmap(void)
{
	munmap(mapped, PAGE);
}

/*
 * Writes to pages of a mapping that has an anon_vma: the first write to each, another while a child
 * shares them, which copies, and a third, after a fork whose child has ended, which does not.
 */
static void write_to_pages(long *first, long *copy, long *again)
{
	char *at = mmap(NULL, TURNS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	long begin, sums[3];
	int hold[2];
	pid_t child = 0;

	madvise(at, TURNS * PAGE, MADV_NOHUGEPAGE);
	*at = 1;
	for (int pass = 0; pass < 3; pass++) {
		if (pass && !pipe(hold)) {
			child = fork();
			if (!child) {
				close(hold[1]);
				_exit(read(hold[0], &begin, 1));
			}
		}
		if (pass == 2) {
			close(hold[1]);
			waitpid(child, NULL, 0);
		}
		begin = now();
		for (int i = 1; i < TURNS; i++)
			at[i * PAGE] = 1;
		sums[pass] = (now() - begin) / (TURNS - 1);
		if (pass == 1) {
			close(hold[1]);
			waitpid(child, NULL, 0);
		}
		if (pass)
			close(hold[0]);
	}
	munmap(at, TURNS * PAGE);
	*first = sums[0];
	*copy = sums[1];
	*again = sums[2];
}

static int by_size(const void *a, const void *b)
{
	return *(const long *)a < *(const long *)b ? -1 : 1;
}

enum { FORK, TOUCH, MUNMAP, FIRST_WRITE, COPY, WRITE_AGAIN, LOOPS };

static const char *names[] = {
	"fork", "mmap_touch", "munmap", "first_write", "copy", "write_again"
};

int main(void)
{
	long cost[LOOPS][REPEATS] = {};

	for (int i = 0; i < ISLANDS; i++) {
		islands[i] = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		mprotect(islands[i] + PAGE, PAGE, PROT_NONE);
		*islands[i] = 1;
	}
	for (int repeat = 0; repeat < REPEATS; repeat++) {
		long begin = now();

		for (int i = 0; i < TURNS; i++)
			loop_fork();
		cost[FORK][repeat] = (now() - begin) / TURNS;
		for (int i = 0; i < TURNS; i++) {
			begin = now();
			loop_mmap_touch();
			cost[TOUCH][repeat] += now() - begin;
			begin = now();
			loop_munmap();
			cost[MUNMAP][repeat] += now() - begin;
		}
		cost[TOUCH][repeat] /= TURNS;
		cost[MUNMAP][repeat] /= TURNS;
		write_to_pages(&cost[FIRST_WRITE][repeat], &cost[COPY][repeat],
			       &cost[WRITE_AGAIN][repeat]);
	}
	for (int loop = 0; loop < LOOPS; loop++) {
		qsort(cost[loop], REPEATS, sizeof(long), by_size);
		printf("%s\"%s\": %ld", loop ? ", " : "{", names[loop], cost[loop][REPEATS / 2]);
	}
	printf("}\n");
	return 0;
}
