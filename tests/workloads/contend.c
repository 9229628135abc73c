/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * contend VMAS CHILDREN FORKS [apart]: a family of processes that wait for the lock of their root
 * anon_vmas.
 *
 * The parent splits one mapping into VMAS parts, all of one anon_vma, and makes CHILDREN processes.
 * All at once they fork FORKS times each: every fork and every exit takes the lock of that root for
 * each VMA. With "apart" the VMAs are islands, which have a root each, or share one where the
 * kernel's design makes them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Parts of one mapping that has pages: a split each. NULL on failure. */
static char *parts(int vmas, long page)
{
	char *at =
		mmap(NULL, vmas * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || madvise(at, vmas * page, MADV_NOHUGEPAGE))
		return NULL;
	memset(at, 1, vmas * page);
	for (int index = 0; index < vmas; index += 2)
		if (mprotect(at + index * page, page, PROT_READ))
			return NULL;
	return at;
}

/* Between inaccessible pages, and first touched when they are so. NULL on failure. */
static char *islands(int vmas, long page)
{
	char *at = mmap(NULL, 2 * vmas * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	for (int index = 0; index < vmas; index++) {
		char *island = at + 2 * index * page;

		if (mprotect(island, page, PROT_READ | PROT_WRITE))
			return NULL;
		*island = 1;
	}
	return at;
}

int main(int argc, char **argv)
{
	long page = sysconf(_SC_PAGESIZE);
	int vmas = argc > 1 ? atoi(argv[1]) : 101, children = argc > 2 ? atoi(argv[2]) : 4,
	    forks = argc > 3 ? atoi(argv[3]) : 7;
	int start[2];

	if (!(argc > 4 && !strcmp(argv[4], "apart") ? islands : parts)(vmas, page))
		return 1;
	if (pipe(start))
		return 1;
	for (int child = 0; child < children; child++) {
		char byte;

		if (fork())
			continue;
		close(start[1]);
		if (read(start[0], &byte, 1)) /* until all are there */
			_exit(1);
		for (int count = 0; count < forks; count++) {
			if (!fork())
				_exit(0);
			wait(NULL);
		}
		_exit(0);
	}
	close(start[0]);
	printf("%d\n", getpid());
	fflush(stdout);
	getchar(); /* the observer is there */
	close(start[1]);
	while (wait(NULL) > 0)
		;
	printf("done\n");
	fflush(stdout);
	getchar();
	return 0;
}
