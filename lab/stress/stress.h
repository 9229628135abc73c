/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STRESS_H
#define STRESS_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL
#define HUGE_PAGES 512UL
#define REGION_PAGES 512 /* of a region at most: one huge page */
#define REGIONS 12	 /* of a thread */
#define CHILDREN 2	 /* of a thread at a time */
#define SAME_SEED 7	 /* of pages that KSM is to find */
#define FILE_SEED (1UL << 40)

/* What a page must hold: 0 for zeroes, else words made of the seed. */
struct region {
	enum { ANON, HUGE, FILE_PRIVATE } kind;
	char *base;
	unsigned int pages;
	uint64_t seed[REGION_PAGES];
};

struct thread {
	struct region regions[REGIONS];
	uint64_t random;
	pid_t child[CHILDREN];
};

struct shared {
	volatile int stop;
	unsigned long bad, checked, move_asked, move_failed;
	unsigned long done[64];
};

struct operation {
	const char *name;
	void (*run)(struct thread *self, struct region *region);
};

extern struct shared *shared;
extern int file_fd;
extern const struct operation operations[];
extern const unsigned int operation_count;

unsigned long below(struct thread *self, unsigned long limit);
void page_fill(uint64_t *page, uint64_t seed);
void region_make(struct thread *self, struct region *region);
void region_check(struct thread *self, struct region *region, const char *after);
void reap(struct thread *self, int all);

#endif
