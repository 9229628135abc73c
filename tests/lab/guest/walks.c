// SPDX-License-Identifier: MIT
/*
 * walks N: N private anonymous pages in one VMA, to be walked on command. Answers "ok" or a number.
 *   touch             write to every page, each its own content
 *   same              write the same to every page, and offer them to KSM
 *   fork, reap        a child that does nothing; the youngest child ends
 *   pageout           MADV_PAGEOUT; answers the pages that are not resident any more
 *   move NODE         move_pages of all pages, everybody's mappings; answers the pages now there
 *   huge              a huge page, touched; answers its address in hexadecimal, 0 if there was none
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define HUGE (2UL << 20)
#define CHILDREN 16
#define MPOL_MF_MOVE_ALL 4

static unsigned long page = 4096, count;
static char *base;

static long resident(void)
{
	unsigned char *there = malloc(count);
	long found = 0;

	mincore(base, count * page, there);
	for (unsigned long i = 0; i < count; i++)
		found += there[i] & 1;
	free(there);
	return found;
}

static long move(int node)
{
	void **pages = malloc(count * sizeof(*pages));
	int *nodes = malloc(count * sizeof(*nodes)), *status = malloc(count * sizeof(*status));
	long found = 0;

	for (unsigned long i = 0; i < count; i++) {
		pages[i] = base + i * page;
		nodes[i] = node;
	}
	if (syscall(SYS_move_pages, 0, count, pages, nodes, status, MPOL_MF_MOVE_ALL))
		perror("move_pages");
	for (unsigned long i = 0; i < count; i++)
		found += status[i] == node;
	free(pages), free(nodes), free(status);
	return found;
}

static unsigned long huge(void)
{
	char *area =
		mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *aligned = (char *)(((unsigned long)area + HUGE - 1) & ~(HUGE - 1));

	if (madvise(aligned, HUGE, MADV_HUGEPAGE))
		return 0;
	memset(aligned, 7, HUGE);
	return (unsigned long)aligned;
}

int main(int argc, char **argv)
{
	pid_t children[CHILDREN];
	int living = 0;
	char line[64];
	cpu_set_t one;

	/* New pages wait per CPU for the LRU lists, and madvise() drains the CPU it runs on. */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);

	count = atol(argv[1]);
	base = mmap(NULL, count * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(base, count * page, MADV_NOHUGEPAGE);
	setvbuf(stdout, NULL, _IONBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	printf("ok\n");
	while (fgets(line, sizeof(line), stdin)) {
		if (!strncmp(line, "touch", 5)) {
			for (unsigned long i = 0; i < count; i++)
				*(unsigned long *)(base + i * page) =
					(unsigned long)(base + i * page);
			printf("ok\n");
		} else if (!strncmp(line, "same", 4)) {
			memset(base, 23, count * page);
			printf("%s\n", madvise(base, count * page, MADV_MERGEABLE) ? "no" : "ok");
		} else if (!strncmp(line, "fork", 4) && living < CHILDREN) {
			children[living] = fork();
			if (!children[living])
				for (;;)
					pause();
			printf("%d\n", (int)children[living++]);
		} else if (!strncmp(line, "reap", 4) && living) {
			kill(children[--living], SIGKILL);
			waitpid(children[living], NULL, 0);
			printf("ok\n");
		} else if (!strncmp(line, "pageout", 7)) {
			madvise(base, count * page, 21 /* MADV_PAGEOUT */);
			printf("%ld\n", (long)count - resident());
		} else if (!strncmp(line, "move ", 5)) {
			printf("%ld\n", move(atoi(line + 5)));
		} else if (!strncmp(line, "huge", 4)) {
			printf("%lx\n", huge());
		} else {
			printf("what?\n");
		}
	}
	while (living)
		kill(children[--living], SIGKILL);
	return 0;
}
