// SPDX-License-Identifier: MIT
/*
 * copier N [huge]: a private anonymous VMA of N pages, or N pages of a huge one, to be shared by
 * a fork and copied by writes. Obeys one command a line and answers "ok":
 *   touch    write to every page
 *   fork     a child that obeys "child"; answers its pid
 *   write K  write to the first K pages
 *   child K  the same by the child
 *   reap     end and wait for the child
 * After a fork "child 0" and "write 0" come first: they copy the pages that a line is read into.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char *pages;
static long page;
static char line[64];

static void answer(int to, const char *text)
{
	size_t length = strlen(text);

	if (write(to, text, length) != (ssize_t)length)
		_exit(3);
}

static bool read_line(int from)
{
	size_t length = 0;

	while (length < sizeof(line) - 1 && read(from, line + length, 1) == 1)
		if (line[length++] == '\n')
			break;
	line[length] = '\0';
	return length > 0;
}

static void write_pages(long count)
{
	for (long i = 0; i < count; i++)
		pages[i * page] = (char)(i + 1);
}

/* 2 MiB where pages have 4 KiB, 32 MiB where they have 16. */
static long huge_page(void)
{
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "r");
	long size = 2L << 20;

	if (file) {
		if (fscanf(file, "%ld", &size) != 1 || size <= 0)
			size = 2L << 20;
		fclose(file);
	}
	return size;
}

static bool make_pages(long count, bool huge)
{
	long whole = huge_page(), room = huge ? whole : (count * page + whole - 1) & -whole;
	char *area = mmap(NULL, room + whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (area == MAP_FAILED || count * page > room)
		return false;
	pages = (char *)(((unsigned long)area + whole - 1) & -whole);
	/* A kernel without huge pages refuses both, and makes none. */
	return !madvise(pages, room, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) || !huge;
}

static void obey_parent(int from, int to)
{
	answer(to, "ok\n");
	while (read_line(from)) {
		write_pages(atol(line));
		answer(to, "ok\n");
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0;
	int down[2], up[2];
	pid_t child = 0;
	char reply[16];

	page = sysconf(_SC_PAGESIZE);
	if (count <= 0 || !make_pages(count, argc > 2))
		return 1;
	answer(1, "ok\n");
	while (read_line(0)) {
		if (!strncmp(line, "touch", 5)) {
			write_pages(count);
		} else if (!strncmp(line, "fork", 4)) {
			if (pipe(down) || pipe(up))
				return 2;
			child = fork();
			if (!child) {
				close(down[1]);
				close(up[0]);
				obey_parent(down[0], up[1]);
			}
			close(down[0]);
			close(up[1]);
			if (read(up[0], reply, 3) != 3)
				return 3;
			snprintf(line, sizeof(line), "%d\n", (int)child);
			answer(1, line);
			continue;
		} else if (!strncmp(line, "write ", 6)) {
			write_pages(atol(line + 6));
		} else if (!strncmp(line, "child ", 6)) {
			answer(down[1], line + 6);
			if (read(up[0], reply, 3) != 3)
				return 3;
		} else if (!strncmp(line, "reap", 4)) {
			close(down[1]);
			close(up[0]);
			waitpid(child, NULL, 0);
		} else {
			answer(1, "what?\n");
			continue;
		}
		answer(1, "ok\n");
	}
	return 0;
}
