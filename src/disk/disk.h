/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The block stack: small decorators over one interface.
 *
 *     file -> vhd (fixed) -> overlay -> slice (one partition) -> volume
 *
 * The wrappers below check bounds and read-only access, and keep the first write error sticky:
 * libntfs-3g was seen to swallow one failed write of 51, so flush reports every one again.
 * Disks are reference counted: a decorator holds its lower disk, so layers may be released in any
 * order. Not thread safe.
 */
#ifndef IBB_DISK_DISK_H
#define IBB_DISK_DISK_H

#include "base/guid.h"
#include "base/io.h"
#include "base/mem.h"

struct ibb_disk;

/* One run of a disk: [off, off+len) bytes; `data` false when it is a hole that reads as zeros. */
struct ibb_extent {
	uint64_t off_bytes, len_bytes;
	bool data;
};
typedef int (*ibb_extent_fn)(void *ctx, const struct ibb_extent *e, struct ibb_error *err);

struct ibb_disk_ops {
	const char *name;
	int (*pread)(struct ibb_disk *d, void *buf, size_t n, uint64_t off, struct ibb_error *err);
	/* NULL: the disk is read-only */
	int (*pwrite)(struct ibb_disk *d, const void *buf, size_t n, uint64_t off,
		      struct ibb_error *err);
	/* NULL: nothing to flush */
	int (*flush)(struct ibb_disk *d, struct ibb_error *err);
	/* Runs of [off, off+n) in order, without gaps. NULL: everything is data. */
	int (*extents)(struct ibb_disk *d, uint64_t off, uint64_t n, ibb_extent_fn fn, void *ctx,
		       struct ibb_error *err);
	/* NULL: nothing to release */
	void (*close)(struct ibb_disk *d);
	/* NULL: none; see ibb_disk_spill_dir() */
	const char *(*spill_dir)(const struct ibb_disk *d);
};

/*
 * Embedded as first member by every kind, whose struct comes from ibb_alloc(): ops->close releases
 * what the kind holds, then ibb_disk_unref() frees the name and the struct itself.
 */
struct ibb_disk {
	const struct ibb_disk_ops *ops;
	uint64_t size_bytes;
	uint32_t sector_bytes; /* logical sector size: 512 or 4096 */
	char *name;	       /* for messages: the file's path; owned */
	unsigned refs;
	int sticky_code; /* first failed write or flush */
	struct ibb_error sticky;
};

/* Common part of a new disk (refs 1, name copied). IBB_E_NOMEM. */
int ibb_disk_init(struct ibb_disk *d, const struct ibb_disk_ops *ops, const char *name,
		  uint64_t size_bytes, uint32_t sector_bytes, struct ibb_error *err) IBB_MUST_CHECK;
struct ibb_disk *ibb_disk_ref(struct ibb_disk *d);
/* Drops one reference; the last one closes. Accepts NULL. */
void ibb_disk_unref(struct ibb_disk *d);
IBB_DEFINE_CLEANUP(struct ibb_disk *, ibb_disk_unref)

/* Whole range or error. Outside the disk: IBB_E_CORRUPT (offsets come from untrusted tables). */
int ibb_disk_pread(struct ibb_disk *d, void *buf, size_t n, uint64_t off,
		   struct ibb_error *err) IBB_MUST_CHECK;
/* IBB_E_READONLY, the sticky error, or what the layer says. Any write that fails is sticky. */
int ibb_disk_pwrite(struct ibb_disk *d, const void *buf, size_t n, uint64_t off,
		    struct ibb_error *err) IBB_MUST_CHECK;
int ibb_disk_flush(struct ibb_disk *d, struct ibb_error *err) IBB_MUST_CHECK;
/* What was written at `at` reads back as `got`, which is not `want`: IBB_E_IO with the first byte.
 */
int ibb_disk_differs(const char *name, uint64_t at, const uint8_t *got, const uint8_t *want,
		     struct ibb_error *err);
/* Neighbouring runs of the same kind come as one. fn must not write to the disk. */
int ibb_disk_extents(struct ibb_disk *d, uint64_t off, uint64_t n, ibb_extent_fn fn, void *ctx,
		     struct ibb_error *err) IBB_MUST_CHECK;

/* The same, told as runs of [as, as+n): for a disk that shows a piece of another one elsewhere. */
int ibb_disk_extents_as(struct ibb_disk *d, uint64_t off, uint64_t n, uint64_t as, ibb_extent_fn fn,
			void *ctx, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * A regular file, opened read-only (also never written through /proc). Takes a shared flock, so
 * that it cooperates with an exclusive holder: IBB_E_CONFLICT when somebody writes the image, and
 * when a journal beside it says that a change in place was interrupted (disk/journal.h).
 * Refuses directories, devices and pipes (IBB_E_UNSUPPORTED) and the empty file (IBB_E_CORRUPT).
 * Extents by SEEK_DATA/SEEK_HOLE. *ret_id is the state at open time.
 */
int ibb_disk_file_open(const char *path, struct ibb_file_id *ret_id, struct ibb_disk **ret,
		       struct ibb_error *err) IBB_MUST_CHECK;
/* The same although there is a journal: for the one who finishes the change. */
int ibb_disk_file_open_with_journal(const char *path, struct ibb_file_id *ret_id,
				    struct ibb_disk **ret, struct ibb_error *err) IBB_MUST_CHECK;
/* IBB_E_CHANGED when dev, inode, size or mtime are not as `id` says (checked by descriptor and
 * by name). */
int ibb_disk_file_unchanged(struct ibb_disk *file, const struct ibb_file_id *id,
			    struct ibb_error *err) IBB_MUST_CHECK;
/* The descriptor of a file disk, for reflink and copy; the disk keeps it. */
int ibb_disk_file_fd(struct ibb_disk *file);

/* A sparse read-write disk in memory, for tests and generators. */
int ibb_disk_mem_new(uint64_t size_bytes, uint32_t sector_bytes, struct ibb_disk **ret,
		     struct ibb_error *err) IBB_MUST_CHECK;

/* A window of another disk, e.g. a partition. */
int ibb_disk_slice_new(struct ibb_disk *lower, uint64_t off, uint64_t len, struct ibb_disk **ret,
		       struct ibb_error *err) IBB_MUST_CHECK;

/*
 * The lower disk with zeros behind its end, up to size_bytes (at least the lower disk's size). The
 * zeros are a hole; nothing can be written.
 */
int ibb_disk_grow_new(struct ibb_disk *lower, uint64_t size_bytes, struct ibb_disk **ret,
		      struct ibb_error *err) IBB_MUST_CHECK;
/* A disk that is long enough: itself, with a reference more, or grown. */
int ibb_disk_at_least(struct ibb_disk *d, uint64_t size_bytes, struct ibb_disk **ret,
		      struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Copy-on-write: every changed block is kept in memory (blocks of 4 KiB, at most limit_bytes of
 * them: then the rest is spilled, or IBB_E_LIMIT), the lower disk is never written. Writing a block
 * the bytes it already has does not make it dirty.
 */
int ibb_disk_overlay_new(struct ibb_disk *lower, uint64_t limit_bytes, struct ibb_disk **ret,
			 struct ibb_error *err) IBB_MUST_CHECK;
/*
 * What does not fit into memory goes to an unnamed temporary file in `dir`, which is made when it
 * is needed; at most IBB_LIMIT_SPILL_BYTES. Its first error stays, like that of any write.
 */
int ibb_disk_overlay_spill(struct ibb_disk *overlay, const char *dir,
			   struct ibb_error *err) IBB_MUST_CHECK;
/* The same to a disk that is there already, in tests; a reference is taken. */
void ibb_disk_overlay_spill_to(struct ibb_disk *overlay, struct ibb_disk *d);
/* The directory that the nearest overlay of this stack spills to, for one that is laid over it;
 * NULL: none. */
const char *ibb_disk_spill_dir(const struct ibb_disk *d);
/* How much of the changed blocks lies in memory, and how long the temporary file is. */
void ibb_disk_overlay_usage(const struct ibb_disk *overlay, uint64_t *ret_memory_bytes,
			    uint64_t *ret_file_bytes);
/* A read-write disk in an unnamed file of `dir`, which goes with the disk. Only what was written
 * before may be read. */
int ibb_disk_temp_new(const char *dir, uint64_t size_bytes, struct ibb_disk **ret,
		      struct ibb_error *err) IBB_MUST_CHECK;

/*
 * The same in memory (memfd_create), zeros where nothing was written; `name` for messages. Where
 * the system has no files in memory it lies in `dir` from the beginning (NULL: IBB_E_IO). And from
 * memory to an unnamed file of `dir`, which whoever holds the disk does not notice: on failure it
 * stays as it is. Either way the file has the disk's whole size, so that RLIMIT_FSIZE has to allow
 * that: IBB_E_IO, with the remedy, and no SIGXFSZ. The descriptor is the disk's; with it others
 * open the file as /proc/self/fd/N.
 */
int ibb_disk_memfd_new(const char *name, uint64_t size_bytes, const char *dir,
		       struct ibb_disk **ret, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_disk_memfd_to_file(struct ibb_disk *d, const char *dir,
			   struct ibb_error *err) IBB_MUST_CHECK;
int ibb_disk_temp_fd(const struct ibb_disk *d);
/* How much of it there is in memory: 0 for one in a file. */
uint64_t ibb_disk_memfd_bytes(const struct ibb_disk *d);

uint64_t ibb_disk_overlay_dirty_bytes(const struct ibb_disk *overlay);
/* One call per dirty block, ascending; data points at len_bytes of new content. The set is exact:
 * a block that equals the lower disk's is not in it. fn must not write to the overlay. */
typedef int (*ibb_dirty_fn)(void *ctx, uint64_t off_bytes, const uint8_t *data, size_t len_bytes,
			    struct ibb_error *err);
int ibb_disk_overlay_dirty(struct ibb_disk *overlay, ibb_dirty_fn fn, void *ctx,
			   struct ibb_error *err) IBB_MUST_CHECK;
/* The same with neighbouring blocks as one run, of max_bytes (whole blocks) at most. */
int ibb_disk_overlay_runs(struct ibb_disk *overlay, size_t max_bytes, ibb_dirty_fn fn, void *ctx,
			  struct ibb_error *err) IBB_MUST_CHECK;

/* Fault injector: passes through, fails the nth operation of a kind (counting from 0). */
enum ibb_fault_kind { IBB_FAULT_READ, IBB_FAULT_WRITE, IBB_FAULT_FLUSH };
struct ibb_fault {
	long fail_at[3]; /* per kind; -1 never */
	bool persistent; /* also every later operation of that kind */
	long cut_after;	 /* silently drop writes after this many (power cut); -1 never */
	int os_errno;	 /* EIO, ENOSPC, ... */
	long count[3];	 /* operations seen, kept up to date */
};
/* `plan` is borrowed, may be changed at any time, and must outlive the disk. */
int ibb_disk_fault_new(struct ibb_disk *lower, struct ibb_fault *plan, struct ibb_disk **ret,
		       struct ibb_error *err) IBB_MUST_CHECK;

#endif
