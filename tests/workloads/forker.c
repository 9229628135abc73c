/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * forker THREADS FORKS: a process with THREADS threads beside the first forks FORKS times, and each
 * child forks once again. It prints the number of its VMAs, and ends when its input does.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void *wait_for_ever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static int vmas(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int lines = 0, letter;

	while ((letter = getc(maps)) != EOF)
		lines += letter == '\n';
	fclose(maps);
	return lines;
}

int main(int argc, char **argv)
{
	int threads = atoi(argv[1]), forks = atoi(argv[2]);
	pthread_t thread;

	for (int number = 0; number < threads; number++)
		if (pthread_create(&thread, NULL, wait_for_ever, NULL))
			return 1;
	vmas(); /* its buffer can be a VMA */
	printf("%d\n", vmas());
	fflush(stdout);
	for (int number = 0; number < forks; number++) {
		if (!fork()) {
			if (!fork())
				_exit(0);
			wait(NULL);
			_exit(0);
		}
		wait(NULL);
	}
	printf("done\n");
	fflush(stdout);
	getchar();
	return 0;
}
