/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One interface over a file system that holds Windows: NTFS in a disk, a plain directory (tests).
 *
 * Paths are UTF-8 with '/', relative to the volume's root, in the normal form of
 * ibb_path_normalize(); "" is the root. Every component is looked up case-insensitively by
 * Windows' upcase table, and an existing name keeps its spelling. Changes are staged: reads see
 * them, nothing is visible outside before commit, closing without commit discards them. When a
 * change fails in the middle (disk full, I/O, memory), what is staged is half of something: every
 * later change and the commit are then refused with the same error.
 * A reparse point in a path is IBB_E_UNSUPPORTED: following it would write where Windows never
 * looks.
 */
#ifndef IBB_VOLUME_VOLUME_H
#define IBB_VOLUME_VOLUME_H

#include "base/buf.h"
#include "disk/disk.h"

struct ibb_volume;

enum ibb_file_type { IBB_FILE_REGULAR, IBB_FILE_DIRECTORY, IBB_FILE_OTHER };

struct ibb_stat {
	enum ibb_file_type type;
	uint64_t size_bytes;
	uint64_t id;	      /* MFT record number or inode */
	uint32_t attributes;  /* FILE_ATTRIBUTE_*; 0 where the back end has none */
	uint32_t reparse_tag; /* 0 when it is no reparse point */
	bool wof_compressed;  /* content lives in the WofCompressedData stream */
	bool encrypted;	      /* EFS */
	unsigned links;
	uint64_t mtime;	      /* FILETIME */
	uint32_t security_id; /* NTFS 3.x $Secure id; 0 elsewhere */
};

struct ibb_volume_info {
	const char *kind; /* "ntfs", "dir" */
	char serial[17];  /* NTFS volume serial number, 16 hex digits, or "" */
	char label[128 * 3 + 1];
	uint32_t cluster_bytes;
	uint64_t size_bytes, free_bytes;
	unsigned major, minor;	  /* NTFS version */
	bool case_sensitive_host; /* dir: names may collide */
};

/* What a new file or directory carries. */
struct ibb_meta {
	uint64_t time;	     /* FILETIME for all four NTFS times */
	uint32_t attributes; /* FILE_ATTRIBUTE_ARCHIVE for files, 0 for directories */
};

enum ibb_put_mode {
	/* New file, or unlink + create: breaks hard links (System32 <-> WinSxS) and cures WOF, as
	 * Windows servicing does. The new file gets what it inherits from its directory, owner and
	 * group SYSTEM (spec: driver store section 7). */
	IBB_PUT_REPLACE,
	/* Keep the file record, its security and its links; write only 4 KiB pages that differ.
	 * For hives and their logs. The file must exist. */
	IBB_PUT_IN_PLACE
};

typedef int (*ibb_dirent_fn)(void *ctx, const char *name, enum ibb_file_type type,
			     struct ibb_error *err);

/*
 * Open the NTFS volume on a disk (which is then normally a slice of an overlay).
 * Refuses, with the reason: no NTFS (IBB_E_NOTFOUND with what was found: FAT, ReFS, BitLocker are
 * IBB_E_UNSUPPORTED), VOLUME_IS_DIRTY or an unclean $LogFile or a hibernation file that is in use
 * (IBB_E_DIRTY), damage (IBB_E_CORRUPT). The disk is referenced.
 * `writable` false mounts read-only (inspect); the refusals are the same.
 * libntfs-3g writes to an overlay of the volume's own, at most IBB_LIMIT_OVERLAY_BYTES; commit
 * copies its changed blocks to `d` and flushes, so that `d` sees nothing of an edit that failed.
 * Installs a process-wide log handler in libntfs-3g, which logs to stderr otherwise. Not thread
 * safe, also not with two volumes in two threads.
 */
int ibb_volume_open_ntfs(struct ibb_disk *d, bool writable, struct ibb_volume **ret,
			 struct ibb_error *err) IBB_MUST_CHECK;
/* Is the volume on `d` encrypted with BitLocker, or with BitLocker To Go? By its boot sector. */
int ibb_volume_is_bitlocker(struct ibb_disk *d, bool *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* A host directory as a volume; staged changes live in memory until commit writes them. */
int ibb_volume_open_dir(const char *path, struct ibb_volume **ret,
			struct ibb_error *err) IBB_MUST_CHECK;
/* Discards what was not committed. Accepts NULL. */
void ibb_volume_close(struct ibb_volume *v);
IBB_DEFINE_CLEANUP(struct ibb_volume *, ibb_volume_close)

int ibb_volume_info(struct ibb_volume *v, struct ibb_volume_info *ret,
		    struct ibb_error *err) IBB_MUST_CHECK;
/* IBB_E_NOTFOUND when a component is missing (expected). */
int ibb_volume_stat(struct ibb_volume *v, const char *path, struct ibb_stat *ret,
		    struct ibb_error *err) IBB_MUST_CHECK;
/* The path as it is spelt on disk; free() it. IBB_E_NOTFOUND. */
int ibb_volume_spelling(struct ibb_volume *v, const char *path, char **ret,
			struct ibb_error *err) IBB_MUST_CHECK;
/* Entries sorted by ibb_casecmp, without "." and ".."; system metafiles of the root left out. */
int ibb_volume_list(struct ibb_volume *v, const char *dir, ibb_dirent_fn fn, void *ctx,
		    struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Whole content; of a WOF-compressed file what Windows would read. IBB_E_LIMIT beyond `limit`
 * bytes; IBB_E_CONFLICT for a directory; IBB_E_CORRUPT when a WOF-compressed file's stream is
 * damaged; IBB_E_UNSUPPORTED for WIMBoot files, for files behind other reparse points and for
 * encrypted ones, which would read back as zeros or noise.
 */
int ibb_volume_read(struct ibb_volume *v, const char *path, uint64_t limit, struct ibb_buf *ret,
		    struct ibb_error *err) IBB_MUST_CHECK;
/*
 * The same in pieces, from the beginning to the end, so that a large file need not fit in memory
 * (one that WOF compressed does). `fn` must not use the volume; a non-zero return stops and is
 * passed on. An empty file has no piece.
 */
typedef int (*ibb_piece_fn)(void *ctx, uint64_t off, struct ibb_bytes piece, struct ibb_error *err);
int ibb_volume_stream(struct ibb_volume *v, const char *path, uint64_t limit, ibb_piece_fn fn,
		      void *ctx, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * The parent must exist (IBB_E_NOTFOUND), a directory in the way is IBB_E_CONFLICT. IBB_E_NOSPACE
 * comes before anything changes, as a rule. The directory's times become meta->time; in place with
 * nothing to change writes nothing, not even a time.
 */
int ibb_volume_put(struct ibb_volume *v, const char *path, struct ibb_bytes content,
		   enum ibb_put_mode mode, const struct ibb_meta *meta,
		   struct ibb_error *err) IBB_MUST_CHECK;
/* One directory; an existing one is IBB_E_EXISTS. */
int ibb_volume_mkdir(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		     struct ibb_error *err) IBB_MUST_CHECK;
/* A file or an empty directory (else IBB_E_CONFLICT). The parent keeps its times. */
int ibb_volume_remove(struct ibb_volume *v, const char *path, struct ibb_error *err) IBB_MUST_CHECK;
/* Self-relative security descriptor of a file; IBB_E_UNSUPPORTED where there is none. */
int ibb_volume_security(struct ibb_volume *v, const char *path, struct ibb_buf *ret,
			struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Set times and the like of existing directories back to meta->time after files were put into
 * them (their own put changed them); keeps two runs byte-identical.
 */
int ibb_volume_touch(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		     struct ibb_error *err) IBB_MUST_CHECK;
/* Everything staged goes down to the disk (ntfs: unmount, flush) or directory; v is then closed
 * for everything but ibb_volume_close(). */
int ibb_volume_commit(struct ibb_volume *v, struct ibb_error *err) IBB_MUST_CHECK;

#endif
