/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the workload share. */
#define FEW 101	    /* VMAs of a process that forks */
#define ADVISED 211 /* pages that are paged out, in, and moved */
#define PAGEOUT 21  /* MADV_PAGEOUT, include/uapi/asm-generic/mman-common.h */

extern long page;

void die(const char *what);
void on_cpu(int number);
long long now(void);
/* VMAs apart by pages that cannot be accessed, so that none merges with another. */
char *islands(long count);
void touch(char *from, long count);
int node_of(void *at);
/* The row of that name, in a file of names and numbers; 0 where there is none. */
long count_in(const char *path, const char *wanted);

/* family.c */
void shared(void);
int contend(long times);
int fail_only(long times);
int time_program(const char *path);
