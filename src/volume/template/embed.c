/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Build tool, for make.cmake.
 *   embed size BYTES IMAGE   makes the file, or makes it longer by a hole
 *   embed write IMAGE OUT.c  what is not zero in it as C arrays, which volume/wim_template.h
 *                            declares
 * Long runs of one byte ($LogFile) and of numbers that count up ($UpCase) are told, not spelt.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORTH_A_RUN 64u /* bytes: a shorter run costs more than its bytes */
#define PIECE	    (16u << 20)

static FILE *out, *data;
static size_t n_runs, n_data;

static void die(const char *what)
{
	fprintf(stderr, "embed: %s: %s\n", what, errno ? strerror(errno) : "is not as expected");
	exit(1);
}

static void put_run(uint64_t off, size_t len, const char *kind, unsigned long arg)
{
	fprintf(out, "\t{%lluu, %zuu, %s, %luu},\n", (unsigned long long)off, len, kind, arg);
	n_runs++;
}

static void put_bytes(const uint8_t *p, uint64_t off, size_t len)
{
	/* zeros at the end are there already */
	while (len && !p[len - 1])
		len--;
	if (!len)
		return;
	put_run(off, len, "TEMPLATE_BYTES", n_data);
	for (size_t i = 0; i < len; i++)
		fprintf(data, "%u,%s", p[i], ++n_data % 20 ? "" : "\n");
}

static size_t fill_len(const uint8_t *p, size_t n)
{
	size_t len = 1;

	while (len < n && p[len] == p[0])
		len++;
	return len;
}

static unsigned get16(const uint8_t *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

static size_t count_len(const uint8_t *p, size_t n)
{
	size_t len = 2;

	if (n < 2)
		return 0;
	while (len + 2 <= n && get16(p + len) == get16(p + len - 2) + 1)
		len += 2;
	return len;
}

/* One piece of data that begins at `off` in the image. */
static void put_piece(const uint8_t *p, size_t n, uint64_t off)
{
	size_t from = 0, at = 0; /* [from, at): bytes that are no run */

	while (at < n) {
		size_t fill = fill_len(p + at, n - at), count = count_len(p + at, n - at);

		if (fill < WORTH_A_RUN && count < WORTH_A_RUN) {
			at++;
			continue;
		}
		put_bytes(p + from, off + from, at - from);
		if (fill >= WORTH_A_RUN && p[at])
			put_run(off + at, fill, "TEMPLATE_FILL", p[at]);
		else if (fill < WORTH_A_RUN)
			put_run(off + at, count, "TEMPLATE_COUNT", get16(p + at));
		at += fill >= WORTH_A_RUN ? fill : count;
		from = at;
	}
	put_bytes(p + from, off + from, at - from);
}

static void put_image(int fd, uint64_t size)
{
	uint8_t *p = malloc(PIECE);
	off_t at = 0, end;

	if (!p)
		die("memory");
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		end = lseek(fd, at, SEEK_HOLE);
		if (end < 0)
			die("SEEK_HOLE");
		if (end - at > (off_t)PIECE)
			end = at + (off_t)PIECE;
		if (pread(fd, p, (size_t)(end - at), at) != end - at)
			die("read");
		put_piece(p, (size_t)(end - at), (uint64_t)at);
		at = end;
	}
	if (errno != ENXIO)
		die("SEEK_DATA");
	errno = 0;
	free(p);
	fprintf(out,
		"};\n\nconst size_t ibb_wim_template_n = %zu;\n"
		"const uint64_t ibb_wim_template_bytes = %lluu;\n\n"
		"/* %zu bytes */\nconst unsigned char ibb_wim_template_data[] = {\n",
		n_runs, (unsigned long long)size, n_data);
}

static void copy_data(void)
{
	char buf[4096];
	size_t n;

	rewind(data);
	while ((n = fread(buf, 1, sizeof(buf), data)) > 0)
		if (fwrite(buf, 1, n, out) != n)
			die("write");
	fprintf(out, "\n};\n");
	if (ferror(data) || fflush(out) || ferror(out))
		die("write");
}

static int write_arrays(const char *image, const char *path)
{
	struct stat st;
	int fd = open(image, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		die(image);
	out = fopen(path, "w");
	data = tmpfile();
	if (!out || !data)
		die(path);
	fprintf(out, "/* Made by template/embed.c from an empty volume. */\n"
		     "#include \"volume/wim_template.h\"\n\n"
		     "const struct wim_template_run ibb_wim_template_runs[] = {\n");
	put_image(fd, (uint64_t)st.st_size);
	copy_data();
	fclose(data);
	close(fd);
	if (fclose(out))
		die(path);
	return 0;
}

static int set_size(const char *bytes, const char *image)
{
	int fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0 || ftruncate(fd, strtoll(bytes, NULL, 10)) || close(fd))
		die(image);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "size"))
		return set_size(argv[2], argv[3]);
	if (argc == 4 && !strcmp(argv[1], "write"))
		return write_arrays(argv[2], argv[3]);
	fprintf(stderr, "usage: embed size BYTES IMAGE | embed write IMAGE OUT.c\n");
	return 2;
}
