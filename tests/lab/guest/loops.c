// SPDX-License-Identifier: MIT
/*
 * Instructions of three loops, by a clock that counts them (lab/run --icount): prints JSON,
 * {loop: instructions per turn}. Each loop is run five times and the middle figure taken.
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

static int by_size(const void *a, const void *b)
{
	return *(const long *)a < *(const long *)b ? -1 : 1;
}

int main(void)
{
	long fork_cost[REPEATS], touch_cost[REPEATS], munmap_cost[REPEATS];

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
		fork_cost[repeat] = (now() - begin) / TURNS;
		touch_cost[repeat] = munmap_cost[repeat] = 0;
		for (int i = 0; i < TURNS; i++) {
			begin = now();
			loop_mmap_touch();
			touch_cost[repeat] += now() - begin;
			begin = now();
			loop_munmap();
			munmap_cost[repeat] += now() - begin;
		}
		touch_cost[repeat] /= TURNS;
		munmap_cost[repeat] /= TURNS;
	}
	qsort(fork_cost, REPEATS, sizeof(long), by_size);
	qsort(touch_cost, REPEATS, sizeof(long), by_size);
	qsort(munmap_cost, REPEATS, sizeof(long), by_size);
	printf("{\"fork\": %ld, \"mmap_touch\": %ld, \"munmap\": %ld}\n", fork_cost[REPEATS / 2],
	       touch_cost[REPEATS / 2], munmap_cost[REPEATS / 2]);
	return 0;
}
