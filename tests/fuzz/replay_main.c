/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs a fuzz target without libFuzzer, over every file of the files and directories named:
 *
 *   replay_TARGET [--mutate N] FILE|DIRECTORY...
 *
 * With --mutate N each file is followed by N damaged versions of it, always the same ones.
 */
#include "fuzz.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#define MAX_BYTES (4u << 20)
#define SECONDS	  10 /* for one input */

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#define WITH_ASAN __has_feature(address_sanitizer)
#else
#define WITH_ASAN 0
#endif

static char current[4400]; /* for the signal handler */
static unsigned n_files, n_runs;

static void report(int sig)
{
	static const char text[] = "\nthis input fails: ";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)!write(STDERR_FILENO, current, strlen(current));
	(void)!write(STDERR_FILENO, "\n", 1);
	signal(sig, SIG_DFL);
	raise(sig);
}

static uint64_t random_state;

/* Stands in for libFuzzer's: a few bytes change, now and then some come or go. */
size_t LLVMFuzzerMutate(uint8_t *p, size_t n, size_t max)
{
	size_t at = n ? fuzz_rnd(&random_state, (uint32_t)n) : 0;
	uint32_t how = fuzz_rnd(&random_state, 8);

	if (how == 0 && n < max) {
		memmove(p + at + 1, p + at, n - at);
		p[at] = (uint8_t)fuzz_rnd(&random_state, 256);
		return n + 1;
	}
	if (how == 1 && n > 1) {
		memmove(p + at, p + at + 1, n - at - 1);
		return n - 1;
	}
	for (unsigned i = 1 + fuzz_rnd(&random_state, 3); i-- && n;)
		p[fuzz_rnd(&random_state, (uint32_t)n)] = (uint8_t)fuzz_rnd(&random_state, 256);
	return n;
}

static void run_one(const uint8_t *p, size_t n)
{
	struct ibb_buf b = fuzz_copy(p, n);

	alarm(SECONDS);
	LLVMFuzzerTestOneInput(b.data, b.len);
	alarm(0);
	ibb_buf_clear(&b);
	n_runs++;
}

static void run_file(const char *path, unsigned mutate)
{
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	uint8_t *room;
	size_t n;

	if (ibb_read_file(path, MAX_BYTES, &b, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		exit(2);
	}
	snprintf(current, sizeof(current), "%s", path);
	n_files++;
	run_one(b.data, b.len);
	room = mutate ? malloc(2 * b.len + 65536) : NULL;
	for (unsigned i = 1; room && i <= mutate; i++) {
		snprintf(current, sizeof(current), "%s, damaged version %u", path, i);
		random_state = i;
		memcpy(room, b.data, b.len);
		n = LLVMFuzzerCustomMutator(room, b.len, 2 * b.len + 65536, i);
		run_one(room, n);
	}
	free(room);
	ibb_buf_clear(&b);
}

static void run_path(const char *path, unsigned mutate)
{
	struct dirent **names = NULL;
	struct stat st;
	char sub[4096];
	int n;

	if (stat(path, &st)) {
		perror(path);
		exit(2);
	}
	if (!S_ISDIR(st.st_mode)) {
		run_file(path, mutate);
		return;
	}
	n = scandir(path, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		snprintf(sub, sizeof(sub), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			run_path(sub, mutate);
		free(names[i]);
	}
	free(names);
}

/* A wild size must not take the machine's memory; under ASan the address space says nothing. */
static void limit_memory(void)
{
#if !WITH_ASAN
	struct rlimit limit = {1u << 30, 1u << 30};

	setrlimit(RLIMIT_AS, &limit);
#endif
}

int main(int argc, char **argv)
{
	unsigned mutate = 0;
	int i = 1;

	if (argc > 2 && !strcmp(argv[1], "--mutate")) {
		mutate = (unsigned)strtoul(argv[2], NULL, 10);
		i = 3;
	}
	signal(SIGABRT, report);
	signal(SIGALRM, report);
	limit_memory();
	for (; i < argc; i++)
		run_path(argv[i], mutate);
	printf("%u files, %u runs\n", n_files, n_runs);
	return n_files ? 0 : 2;
}
