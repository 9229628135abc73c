// SPDX-License-Identifier: MIT
/*
 * islands N: N private anonymous one-page VMAs, kept apart by PROT_NONE guards so that no
 * neighbour's anon_vma can be reused. Obeys one command a line and answers "ok":
 *   touch   write to every island: N anonymous first faults
 *   fork    a child that does nothing until it is reaped; answers its pid
 *   reap    end and wait for the youngest child
 *   unmap   unmap every island
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 64

static long page;

static char *make_islands(long count)
{
	char *base =
		mmap(NULL, (2 * count + 1) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	/* Huge pages would not fit, but khugepaged shall not even look. */
	madvise(base, (2 * count + 1) * page, MADV_NOHUGEPAGE);
	for (long i = 0; i < count; i++)
		if (mprotect(base + (2 * i + 1) * page, page, PROT_READ | PROT_WRITE))
			return NULL;
	return base;
}

static void answer(const char *text)
{
	size_t length = strlen(text);

	if (write(1, text, length) != (ssize_t)length)
		_exit(3);
}

/* By the byte: what is behind the line stays in the pipe or file, for the next call. */
static bool read_line(char *line, size_t size)
{
	size_t length = 0;

	while (length < size - 1 && read(0, line + length, 1) == 1)
		if (line[length++] == '\n')
			break;
	line[length] = '\0';
	return length > 0;
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0;
	pid_t children[CHILDREN];
	int living = 0;
	char line[32];
	char *base;

	page = sysconf(_SC_PAGESIZE);
	base = make_islands(count);
	if (count <= 0 || !base) {
		perror("islands");
		return 1;
	}
	answer("ok\n");
	while (read_line(line, sizeof(line))) {
		if (!strncmp(line, "touch", 5)) {
			for (long i = 0; i < count; i++)
				base[(2 * i + 1) * page] = (char)i;
			answer("ok\n");
		} else if (!strncmp(line, "fork", 4) && living < CHILDREN) {
			pid_t child = fork();

			if (!child) {
				pause();
				_exit(0);
			}
			children[living++] = child;
			snprintf(line, sizeof(line), "%d\n", (int)child);
			answer(line);
		} else if (!strncmp(line, "reap", 4) && living) {
			kill(children[--living], SIGKILL);
			waitpid(children[living], NULL, 0);
			answer("ok\n");
		} else if (!strncmp(line, "unmap", 5)) {
			munmap(base, (2 * count + 1) * page);
			answer("ok\n");
		} else {
			answer("what?\n");
		}
	}
	while (living) {
		kill(children[--living], SIGKILL);
		waitpid(children[living], NULL, 0);
	}
	return 0;
}
