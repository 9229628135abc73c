// SPDX-License-Identifier: MIT
/* leak SECONDS: forks 307 children that exit at once, waits a little, and so on; prints the number
 * of forks. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ISLANDS = 7, BURST = 307, PAUSE_SECONDS = 3 };

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 60);
	long forks = 0;

	for (int island = 0; island < ISLANDS; island++) {
		char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);

		if (pages == MAP_FAILED || mprotect(pages + 4096, 4096, PROT_NONE))
			return 1;
		*pages = 1;
	}
	while (time(NULL) < end) {
		for (int child = 0; child < BURST; child++, forks++) {
			pid_t pid = fork();

			if (pid == 0)
				_exit(0);
			if (pid < 0 || waitpid(pid, NULL, 0) != pid)
				return 1;
		}
		sleep(PAUSE_SECONDS);
	}
	printf("%ld\n", forks);
	return 0;
}
