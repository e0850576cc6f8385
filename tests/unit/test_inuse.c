/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who may be at an image: locks, openers, loop devices, disks that rest on it. */
#include "disktest.h"

#include <errno.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "base/le.h"
#include "base/utf16.h"
#include "disk/inuse.h"

static char image[600];
static int fd = -1;

static int open_image(void **state)
{
	static uint8_t b[4096];

	(void)state;
	snprintf(image, sizeof(image), "%s/image.vhd", test_dir());
	make_file(image, b, sizeof(b));
	fd = open(image, O_RDONLY | O_CLOEXEC);
	return fd < 0;
}

static int close_image(void **state)
{
	(void)state;
	close(fd);
	fd = -1;
	return unlink(image);
}

static int claim(struct ibb_error *err)
{
	return ibb_inuse_claim(fd, image, "/sys", err);
}

/* Does the system grant leases to this user on this file system? */
static bool leases_work(void)
{
	bool ok = fcntl(fd, F_SETLEASE, F_WRLCK) == 0;

	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return ok;
}

static void test_not_in_use(void **state)
{
	struct ibb_error err = {0};
	int other;

	(void)state;
	assert_ok(claim(&err), err);
	assert_ok(claim(&err), err);
	assert_ok(ibb_inuse_check_writer(fd, image, &err), err);
	/* from now on nobody else gets even a shared lock */
	other = open(image, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(other, LOCK_SH | LOCK_NB), -1);
	close(other);
}

static void test_flock(void **state)
{
	struct ibb_error err = {0};
	int other = open(image, O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(flock(other, LOCK_SH), 0);
	assert_fails(claim(&err), IBB_E_CONFLICT, err,
		     "image.vhd: is in use: another program holds a lock (flock) on it");
	assert_non_null(strstr(err.hint, "-o"));
	close(other);
	assert_ok(claim(&err), err);
}

static void set_ofd(int at, short type, off_t byte, off_t n)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = n};

	assert_int_equal(fcntl(at, F_OFD_SETLK, &l), 0);
}

/* As qemu does it: shared locks on single bytes. */
static void test_qemu_locks(void **state)
{
	static const struct {
		off_t byte;
		bool writer;
		const char *text;
	} locks[] = {{100, false, "qemu has it open (a lock on byte 100)"},
		     {101, true, "qemu has it open (a lock on byte 101)"},
		     {103, true, "(a lock on byte 103)"},
		     {201, false, "(a lock on byte 201)"},
		     {5, false, "another program holds a lock on it"}};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(locks); i++) {
		struct ibb_error err = {0};
		int other = open(image, O_RDONLY | O_CLOEXEC);

		set_ofd(other, F_RDLCK, locks[i].byte, 1);
		assert_fails(claim(&err), IBB_E_CONFLICT, err, locks[i].text);
		if (locks[i].writer)
			assert_fails(ibb_inuse_check_writer(fd, image, &err), IBB_E_CONFLICT, err,
				     "qemu has it open for writing");
		else
			assert_ok(ibb_inuse_check_writer(fd, image, &err), err);
		close(other);
		assert_ok(claim(&err), err);
	}
}

/* A child that does fn, then waits until it is told to go. */
static pid_t begin_child(void (*fn)(void), int *ret_go)
{
	int up[2], go[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(up), 0);
	assert_int_equal(pipe(go), 0);
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(fd);
		close(go[1]);
		fn();
		(void)!write(up[1], "x", 1);
		(void)!read(go[0], &c, 1);
		_exit(0);
	}
	close(go[0]);
	close(up[1]);
	assert_int_equal(read(up[0], &c, 1), 1);
	close(up[0]);
	*ret_go = go[1];
	return pid;
}

static void end_child(pid_t pid, int go)
{
	int status;

	close(go);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void child_locks(void)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 7, .l_len = 1};
	int other = open(image, O_RDWR | O_CLOEXEC);

	if (fcntl(other, F_SETLK, &l))
		_exit(9);
}

static void child_opens(void)
{
	if (open(image, O_RDONLY | O_CLOEXEC) < 0)
		_exit(9);
}

static void child_opens_for_writing(void)
{
	if (open(image, O_WRONLY | O_CLOEXEC) < 0)
		_exit(9);
}

static void test_other_processes(void **state)
{
	struct ibb_error err = {0};
	char text[100];
	int go;
	pid_t pid = begin_child(child_locks, &go);

	(void)state;
	snprintf(text, sizeof(text), "process %ld holds a lock on it", (long)pid);
	assert_fails(claim(&err), IBB_E_CONFLICT, err, text);
	end_child(pid, go);
	assert_ok(claim(&err), err);
	if (!leases_work()) {
		print_message("SKIPPED: no leases here\n");
		return;
	}
	pid = begin_child(child_opens, &go);
	assert_fails(claim(&err), IBB_E_CONFLICT, err, "another program has it open");
	end_child(pid, go);
	assert_ok(claim(&err), err);
	pid = begin_child(child_opens_for_writing, &go);
	assert_fails(claim(&err), IBB_E_CONFLICT, err, "another program has it open");
	end_child(pid, go);
	assert_ok(claim(&err), err);
}

/* Our lock keeps qemu out, and is refused where one is. */
static void test_lock(void **state)
{
	struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1};
	struct ibb_error err = {0};
	int ours = open(image, O_RDWR | O_CLOEXEC), other = open(image, O_RDWR | O_CLOEXEC);

	(void)state;
	assert_ok(ibb_inuse_lock(ours, image, &err), err);
	assert_int_equal(fcntl(other, F_OFD_SETLK, &l), -1);
	close(ours);
	assert_int_equal(fcntl(other, F_OFD_SETLK, &l), 0);
	ours = open(image, O_RDWR | O_CLOEXEC);
	assert_fails(ibb_inuse_lock(ours, image, &err), IBB_E_CONFLICT, err,
		     "qemu has it open (a lock on byte 100)");
	close(ours);
	close(other);
}

/* ---- loop devices ---- */

static void test_loop_simulated(void **state)
{
	struct ibb_error err = {0};
	char sys[640], path[1400], alias[640];

	(void)state;
	snprintf(sys, sizeof(sys), "%s/sys", test_dir());
	snprintf(alias, sizeof(alias), "%s/alias.vhd", test_dir());
	snprintf(path, sizeof(path), "mkdir -p '%s'/block/loop7/loop '%s'/block/sda", sys, sys);
	assert_int_equal(system(path), 0);
	assert_ok(ibb_inuse_claim(fd, image, sys, &err), err);
	snprintf(path, sizeof(path), "%s/block/loop7/loop/backing_file", sys);
	make_file(path, "/nowhere\n", 9);
	assert_ok(ibb_inuse_claim(fd, image, sys, &err), err);
	assert_int_equal(symlink(image, alias), 0); /* the file counts, not its name */
	make_file(path, alias, strlen(alias));
	assert_fails(ibb_inuse_claim(fd, image, sys, &err), IBB_E_CONFLICT, err,
		     "it is the backing file of /dev/loop7");
	unlink(alias);
}

static void test_loop_real(void **state)
{
	struct ibb_error err = {0};
	char cmd[1400];

	(void)state;
	snprintf(cmd, sizeof(cmd), "losetup -f --show '%s' > '%s/loop' 2>/dev/null", image,
		 test_dir());
	if (geteuid() != 0 || system(cmd)) {
		print_message("SKIPPED: no loop devices here\n");
		skip();
	}
	assert_fails(claim(&err), IBB_E_CONFLICT, err, "is in use");
	snprintf(cmd, sizeof(cmd), "losetup -d $(cat '%s/loop')", test_dir());
	assert_int_equal(system(cmd), 0);
}

/* ---- disks that rest on it ---- */

static const uint8_t our_id[16] = {9, 8, 7, 6, 5, 4, 3, 2, 1};

static void put_utf16(uint8_t *out, const char *s, bool big_endian, uint32_t *ret_bytes)
{
	struct ibb_buf b = {0};

	assert_int_equal(ibb_utf16le_append(&b, s), 0);
	for (size_t i = 0; i < b.len; i++)
		out[i] = b.data[big_endian ? i ^ 1 : i];
	*ret_bytes = (uint32_t)b.len;
	ibb_buf_clear(&b);
}

struct vhd_parent {
	uint32_t type;
	const uint8_t *id;
	const char *name, *relative, *absolute;
	bool no_last_footer;
};

/* Only what names the parent; sums are left out, for they are not asked. */
static void make_vhd(const char *name, struct vhd_parent p)
{
	static uint8_t b[4096];
	char path[700];
	uint32_t n;

	memset(b, 0, sizeof(b));
	memcpy(b, "conectix", 8);
	ibb_put_be64(b + 16, 512);
	ibb_put_be32(b + 60, p.type);
	memcpy(b + 512, "cxsparse", 8);
	if (p.id)
		memcpy(b + 512 + 40, p.id, 16);
	if (p.name)
		put_utf16(b + 512 + 64, p.name, true, &n);
	if (p.relative) {
		memcpy(b + 512 + 576, "W2ru", 4);
		put_utf16(b + 2048, p.relative, false, &n);
		ibb_put_be32(b + 512 + 576 + 8, n);
		ibb_put_be64(b + 512 + 576 + 16, 2048);
	}
	if (p.absolute) {
		memcpy(b + 512 + 600, "W2ku", 4);
		put_utf16(b + 2560, p.absolute, false, &n);
		ibb_put_be32(b + 512 + 600 + 8, n);
		ibb_put_be64(b + 512 + 600 + 16, 2560);
	}
	if (!p.no_last_footer)
		memcpy(b + sizeof(b) - 512, b, 512);
	snprintf(path, sizeof(path), "%s/%s", test_dir(), name);
	make_file(path, b, sizeof(b));
}

static void make_vhdx(const char *name, const char *relative)
{
	static const uint8_t metadata[16] = {0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
					     0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e};
	static const uint8_t locator[16] = {0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45,
					    0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c};
	static uint8_t b[400u << 10];
	uint8_t *region = b + (192u << 10), *meta = b + (320u << 10), *loc = meta + 1024;
	char path[700];
	uint32_t n;

	memset(b, 0, sizeof(b));
	memcpy(b, "vhdxfile", 8);
	memcpy(region, "regi", 4);
	ibb_put_le32(region + 8, 2);
	memcpy(region + 16 + 32, metadata, 16);
	ibb_put_le64(region + 16 + 32 + 16, 320u << 10);
	memcpy(meta, "metadata", 8);
	ibb_put_le16(meta + 10, 1);
	memcpy(meta + 32, locator, 16);
	ibb_put_le32(meta + 32 + 16, 1024);
	ibb_put_le16(loc + 18, 2);
	ibb_put_le32(loc + 20, 100); /* parent_linkage: a GUID */
	put_utf16(loc + 200, "{83ed49af-d5b3-4ad6-ad7c-4d8c5b2d3e6f}", false, &n);
	ibb_put_le32(loc + 24, 200);
	ibb_put_le16(loc + 30, (uint16_t)n);
	put_utf16(loc + 300, relative, false, &n);
	ibb_put_le32(loc + 32, 100);
	ibb_put_le32(loc + 36, 300);
	ibb_put_le16(loc + 42, (uint16_t)n);
	snprintf(path, sizeof(path), "%s/%s", test_dir(), name);
	make_file(path, b, sizeof(b));
}

static void make_qcow2(const char *name, const char *backing)
{
	uint8_t b[512] = "QFI\xfb";
	char path[700];

	ibb_put_be64(b + 8, backing ? 112 : 0);
	ibb_put_be32(b + 16, backing ? (uint32_t)strlen(backing) : 0);
	if (backing)
		memcpy(b + 112, backing, strlen(backing));
	snprintf(path, sizeof(path), "%s/%s", test_dir(), name);
	make_file(path, b, sizeof(b));
}

static void drop_file(const char *name)
{
	char path[700];

	snprintf(path, sizeof(path), "%s/%s", test_dir(), name);
	assert_int_equal(unlink(path), 0);
}

static void assert_parent(const char *child, bool is)
{
	struct ibb_error err = {0};
	char text[200];

	snprintf(text, sizeof(text), "image.vhd: is the parent of %s", child);
	if (is)
		assert_fails(ibb_inuse_children(image, our_id, &err), IBB_E_CONFLICT, err, text);
	else
		assert_ok(ibb_inuse_children(image, our_id, &err), err);
	if (is)
		assert_non_null(strstr(err.hint, "-o"));
	drop_file(child);
}

static void test_vhd_children(void **state)
{
	static const uint8_t other_id[16] = {1};

	(void)state;
	make_vhd("child.vhd", (struct vhd_parent){4, our_id, "renamed.vhd", NULL, NULL, false});
	assert_parent("child.vhd", true);
	make_vhd("child.avhd", (struct vhd_parent){4, our_id, NULL, NULL, NULL, true});
	assert_parent("child.avhd", true);
	make_vhd("child", (struct vhd_parent){4, other_id, "Image.VHD", NULL, NULL, false});
	assert_parent("child", true);
	make_vhd("child.vhd",
		 (struct vhd_parent){4, other_id, "C:\\disks\\image.vhd", NULL, NULL, false});
	assert_parent("child.vhd", true);
	make_vhd("child.vhd", (struct vhd_parent){4, other_id, NULL, ".\\image.vhd", NULL, false});
	assert_parent("child.vhd", true);
	make_vhd("child.vhd",
		 (struct vhd_parent){4, other_id, NULL, ".\\x.vhd", "D:\\y\\image.vhd", false});
	assert_parent("child.vhd", true);
	make_vhd("child.vhd",
		 (struct vhd_parent){4, other_id, "x.vhd", ".\\x.vhd", "D:\\image.vhd\\x", false});
	assert_parent("child.vhd", false);
	/* a dynamic disk has no parent, whatever stands there */
	make_vhd("child.vhd", (struct vhd_parent){3, our_id, "image.vhd", NULL, NULL, false});
	assert_parent("child.vhd", false);
}

static void test_other_children(void **state)
{
	struct ibb_error err = {0};
	char path[700];

	(void)state;
	make_vhdx("child.avhdx", ".\\image.vhd");
	assert_parent("child.avhdx", true);
	make_vhdx("child.vhdx", ".\\image.vhdx");
	assert_parent("child.vhdx", false);
	make_qcow2("overlay.qcow2", "image.vhd");
	assert_parent("overlay.qcow2", true);
	make_qcow2("overlay", "/else/where/image.vhd");
	assert_parent("overlay", true);
	make_qcow2("overlay", "image.raw");
	assert_parent("overlay", false);
	make_qcow2("overlay", "file:image.vhd");
	assert_parent("overlay", true);
	make_qcow2("overlay", "json:{\"driver\": \"raw\", \"file\": "
			      "{\"driver\": \"file\", \"filename\": \"/d/image.vhd\"}}");
	assert_parent("overlay", true);
	make_qcow2("overlay", "json:{\"file.filename\": \"image.vhd\"}");
	assert_parent("overlay", true);
	make_qcow2("overlay", "json:{\"file.filename\": \"other.vhd\", \"image.vhd\": 1}");
	assert_parent("overlay", false);
	make_qcow2("overlay", "json:{\"file.filename\": \"image.vhd\"");
	assert_parent("overlay", false);
	/* by a link */
	snprintf(path, sizeof(path), "%s/link", test_dir());
	assert_int_equal(symlink("image.vhd", path), 0);
	make_qcow2("overlay", "link");
	assert_parent("overlay", true);
	make_qcow2("overlay", path);
	assert_parent("overlay", true);
	make_qcow2("overlay", "json:{\"file.filename\": \"./link\"}");
	assert_parent("overlay", true);
	make_vhdx("child.vhdx", ".\\link");
	assert_parent("child.vhdx", true);
	drop_file("link");
	make_qcow2("overlay", NULL);
	assert_parent("overlay", false);
	/* what is no file must not hang us, and what is damaged names nobody */
	snprintf(path, sizeof(path), "%s/pipe.vhd", test_dir());
	assert_int_equal(mkfifo(path, 0600), 0);
	make_vhd("child.vhd", (struct vhd_parent){4, NULL, NULL, NULL, NULL, false});
	snprintf(path, sizeof(path), "%s/child.vhd", test_dir());
	assert_int_equal(patch_file(path, 16, "\xff\xff\xff\xff\xff\xff\xff\xff", 8), 0);
	assert_int_equal(patch_file(path, 4096 - 512 + 16, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8),
			 0);
	assert_ok(ibb_inuse_children(image, our_id, &err), err);
	drop_file("child.vhd");
	drop_file("pipe.vhd");
	for (long i = 0; i < 2; i++) {
		make_qcow2("overlay", NULL);
		make_vhdx("child.vhdx", "x");
		ibb_mem_fail_at(i, false);
		assert_int_equal(ibb_inuse_children(image, our_id, &err), IBB_E_NOMEM);
		ibb_mem_fail_at(-1, false);
		drop_file("overlay");
		drop_file("child.vhdx");
	}
}

int main(void)
{
#define WITH_IMAGE(fn) cmocka_unit_test_setup_teardown(fn, open_image, close_image)
	const struct CMUnitTest tests[] = {
		WITH_IMAGE(test_not_in_use),	 WITH_IMAGE(test_flock),
		WITH_IMAGE(test_qemu_locks),	 WITH_IMAGE(test_other_processes),
		WITH_IMAGE(test_lock),		 WITH_IMAGE(test_loop_simulated),
		WITH_IMAGE(test_loop_real),	 WITH_IMAGE(test_vhd_children),
		WITH_IMAGE(test_other_children),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
