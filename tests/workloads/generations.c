// SPDX-License-Identifier: MIT
/*
 * generations N: a child for whose VMAs a fork reuses anon_vmas. N private anonymous one-page VMAs,
 * touched here, then in a child, which unmaps them, and before that in a grandchild: for a child of
 * that the kernel takes the anon_vmas which the child in the middle has left (reuse_anon_vma() in
 * mm/rmap.c).
 *
 * Answers the grandchild's pid; then, for each line, the grandchild forks once, and "ok" is
 * answered.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

static long page;

static void touch(char *base, long count)
{
	for (long i = 0; i < count; i++)
		base[(2 * i + 1) * page]++;
}

/* A child that ends with this process. */
static pid_t child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		_exit(3);
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static void pass(int fd)
{
	if (write(fd, "+", 1) != 1)
		_exit(3);
}

static void wait_for(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		_exit(0);
}

static void youngest(char *base, long count, int ready, int commands)
{
	touch(base, count);
	printf("%d\n", (int)getpid());
	fflush(stdout);
	pass(ready);
	for (;;) {
		pid_t pid;

		wait_for(commands);
		pid = child();
		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
		puts("ok");
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0;
	int made[2], commands[2];
	char *base, line[32];

	page = sysconf(_SC_PAGESIZE);
	base = mmap(NULL, (2 * count + 1) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (count <= 0 || base == MAP_FAILED || pipe(made) || pipe(commands)) {
		perror("generations");
		return 1;
	}
	madvise(base, (2 * count + 1) * page, MADV_NOHUGEPAGE);
	for (long i = 0; i < count; i++)
		if (mprotect(base + (2 * i + 1) * page, page, PROT_READ | PROT_WRITE))
			return 1;
	touch(base, count);
	if (!child()) { /* the one in the middle */
		int ready[2];

		if (pipe(ready))
			_exit(3);
		touch(base, count);
		if (!child()) {
			/* Not before the islands in the middle are gone. */
			close(commands[1]);
			wait_for(ready[0]);
			youngest(base, count, made[1], commands[0]);
		}
		close(commands[1]);
		munmap(base, (2 * count + 1) * page);
		pass(ready[1]);
		pause();
	}
	wait_for(made[0]);
	while (read(0, line, sizeof(line)) > 0)
		pass(commands[1]);
	return 0;
}
