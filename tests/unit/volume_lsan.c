/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What libntfs-3g 2022.10.3 itself leaks, for LeakSanitizer; the same list is in
 * ci/suppressions/lsan.supp. The library has no frame pointers, so only the slow unwinder sees
 * beyond its malloc wrapper.
 */
const char *__asan_default_options(void);
const char *__lsan_default_suppressions(void);

const char *__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0";
}

const char *__lsan_default_suppressions(void)
{
	/* an inode that cannot be written is never freed: parents that a close opens by itself, */
	return "leak:ntfs_inode_real_close\n"
	       /* both that ntfs_delete() was given, */
	       "leak:unlink_name\n"
	       /* and what a mount or unmount gives up half-way */
	       "leak:ntfs_device_mount\n"
	       /* the UTF-16 name, while the lookup cache is off */
	       "leak:ntfs_inode_lookup_by_mbsname\n";
}
