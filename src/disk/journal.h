/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The redo journal of an in-place change: all of the new content lies in a file beside the image
 * before the first byte of the image changes, so that a crash at any moment leaves an image that
 * is the old one, the new one, or one that the journal turns into the new one.
 *
 * Order of a change, each step durable before the next one begins:
 *
 *     - the manifest is written, to a file without a name; its place is known to be good
 *     - journal but its trailer, fsync; trailer, fsync; directory fsync
 *     - the journal is read back and checked
 *     - the image is locked, and every sector of it is still as the journal says it was
 *     - room is reserved for what is a hole of the image
 *     - the image is written, fdatasync; it is read back and compared
 *     - the image still has its name; the manifest gets its own
 *     - the journal is removed, directory fsync
 *
 * So a trailer that is there proves that everything before it was written, and a journal without
 * one that the image was not touched. To finish an interrupted change the same order holds: the one
 * who made it may have been killed before an fsync, and what is read may be in the page cache only.
 *
 *     - the journal is read and checked, and the image compared with it
 *     - journal fsync, directory fsync, the image is locked
 *     - both are read and compared again; room is reserved; the manifest is written, without a name
 *     - the image is written, and so on as above
 *
 * Only the trailer binds the records to the header: a sound record may be what an older journal
 * left in the same blocks. So a journal without one is never applied, though all of it looks sound.
 *
 * The file, "<image>.ibbake-journal", little-endian, in units of 512 bytes:
 *
 *     header      512 bytes, see below
 *     manifest    its path and its text, as the header says, zeros up to a multiple of 512
 *     records     each: 512 bytes of head, the sums of the old content, zeros up to a multiple of
 *                 512, then the new content of one run of the image
 *     trailer     512 bytes; it makes the journal complete
 *
 *     header  0 magic "ibbakeRJ"   8 u32 version 1      12 u32 flags (IBB_JOURNAL_HAS_*)
 *            16 u64 image bytes   24 u64 journal bytes  32 u64 records  40 u64 new content bytes
 *            48 u32 container (0 raw, 1 fixed VHD)      52 u32 MBR signature
 *            56 unique ID of the VHD footer             72 GPT disk GUID
 *            88 u32 bytes of the manifest's path        92 u32 bytes of its text
 *            96 SHA-256 of path, text and padding      480 SHA-256 of bytes 0..480
 *     record  0 magic "ibbakeRR"   8 u64 its number     16 u64 offset     24 u64 bytes
 *            32 SHA-256 of sums, padding and new content
 *           480 SHA-256 of bytes 0..480
 *     sums    per 512-byte sector the first 8 bytes of the SHA-256 of its old content
 *     trailer 0 magic "ibbakeRT"   8 u64 records
 *            32 SHA-256 over the last 32 bytes of the header and of every record's head
 *           480 SHA-256 of bytes 0..480
 *
 * A journal is untrusted input: it may be torn, and it may be somebody else's.
 */
#ifndef IBB_DISK_JOURNAL_H
#define IBB_DISK_JOURNAL_H

#include "base/io.h"
#include "disk/disk.h"

#define IBB_JOURNAL_SUFFIX ".ibbake-journal"
#define IBB_JOURNAL_UNIT   512u

enum {
	IBB_JOURNAL_HAS_VHD_ID = 1,
	IBB_JOURNAL_HAS_GPT_ID = 2,
	IBB_JOURNAL_HAS_MBR_ID = 4,
	IBB_JOURNAL_HAS_MANIFEST = 8
};

/* Which image: what stands in places that a change never touches. */
struct ibb_journal_id {
	uint64_t image_bytes;
	unsigned flags;	    /* IBB_JOURNAL_HAS_*_ID */
	uint32_t container; /* 0 raw, 1 fixed VHD (enum ibb_container) */
	uint32_t mbr_signature;
	struct ibb_guid vhd_id, gpt_id;
};

/* The two files and their directory, as the machine has them or as a test pretends. */
enum ibb_journal_file { IBB_JOURNAL_IMAGE, IBB_JOURNAL_SELF };
struct ibb_journal_io {
	const char *image, *journal; /* names for messages */
	const struct ibb_journal_ops {
		int (*size)(struct ibb_journal_io *io, enum ibb_journal_file f, uint64_t *ret,
			    struct ibb_error *err);
		int (*pread)(struct ibb_journal_io *io, enum ibb_journal_file f, void *buf,
			     size_t n, uint64_t off, struct ibb_error *err);
		int (*pwrite)(struct ibb_journal_io *io, enum ibb_journal_file f, const void *buf,
			      size_t n, uint64_t off, struct ibb_error *err);
		/* what was written is durable, and is read from the medium afterwards, as far as
		 * the system lets us have that */
		int (*sync)(struct ibb_journal_io *io, enum ibb_journal_file f,
			    struct ibb_error *err);
		int (*sync_dir)(struct ibb_journal_io *io, struct ibb_error *err);
		/* would writes up to these sizes be let through? Before anything is written */
		int (*limits)(struct ibb_journal_io *io, uint64_t image_end, uint64_t journal_bytes,
			      struct ibb_error *err);
		/* a new, empty journal under its name; IBB_E_CONFLICT when there is one */
		int (*create)(struct ibb_journal_io *io, struct ibb_error *err);
		/* make the image writable and keep others away; it is unchanged when this fails,
		 * and its file the one that was opened, in the same state */
		int (*begin)(struct ibb_journal_io *io, struct ibb_error *err);
		/* after begin: room for this range of the image, if the file system can promise
		 * it; neither size nor content change */
		int (*reserve)(struct ibb_journal_io *io, uint64_t off, uint64_t n,
			       struct ibb_error *err);
		/* after begin: the image ends here, which is not behind its end; durable on
		 * return. Only of a file that grew, see disk/undo.h */
		int (*cut)(struct ibb_journal_io *io, uint64_t size, struct ibb_error *err);
		/* is the file that was changed still the one that has the image's name? */
		int (*check_name)(struct ibb_journal_io *io, struct ibb_error *err);
		int (*unlink)(struct ibb_journal_io *io, struct ibb_error *err);
		/* write the manifest whole, to a file without a name yet */
		int (*manifest)(struct ibb_journal_io *io, const char *path, const void *text,
				size_t n, struct ibb_error *err);
		/* and that takes its place; durable on return */
		int (*publish)(struct ibb_journal_io *io, struct ibb_error *err);
	} * ops;
};

/* What a change is: the overlay's blocks over the image, whose file begins with the disk. */
struct ibb_journal_change {
	struct ibb_journal_id id;
	struct ibb_disk *overlay; /* over the image as it is */
	struct ibb_disk *lower;	  /* the image as it is */
	const char *manifest;	  /* path, NULL: none; without '/': beside the image */
	const char *text;
};

struct ibb_journal_stats {
	uint64_t records, changed_bytes;
	uint64_t written_bytes; /* journal and image together */
};

/*
 * Carry out a change in the order above. A failure before the first byte of the image is written
 * removes the journal again; one afterwards leaves it, and the hint names the remedy. Nothing to
 * change: only the manifest is written.
 */
int ibb_journal_change(struct ibb_journal_io *io, const struct ibb_journal_change *c,
		       struct ibb_journal_stats *ret, struct ibb_error *err) IBB_MUST_CHECK;

/* What was found of a journal. */
enum ibb_journal_state {
	IBB_JOURNAL_INCOMPLETE, /* the image was not touched: it was still being written */
	IBB_JOURNAL_COMPLETE
};
struct ibb_journal_report {
	enum ibb_journal_state state;
	struct ibb_journal_stats stats;			 /* of a complete one */
	uint64_t sectors_old, sectors_new, sectors_same; /* of the image as found; same: both */
	char *manifest; /* path of the manifest that was written with it; owned; NULL: none */
	char *missing;	/* path of the one that was not, with IBB_JOURNAL_FINISH_BARE; owned */
};
void ibb_journal_report_clear(struct ibb_journal_report *r);

enum ibb_journal_ending {
	IBB_JOURNAL_FINISH,
	IBB_JOURNAL_FINISH_BARE, /* without the manifest, when that cannot be written */
	IBB_JOURNAL_DROP
};

/*
 * Finish an interrupted change. A complete journal is applied when it belongs to this image (id is
 * what the image says of itself now) and each sector it covers is as it was before, or as it shall
 * be; otherwise IBB_E_CONFLICT with the place, and nothing is written. An incomplete one is
 * removed once what is left of it agrees that the image is as it was. With IBB_JOURNAL_DROP, a
 * complete one is removed as well, when nothing of it was applied. May be interrupted and repeated.
 * IBB_E_CORRUPT: the journal is complete by its trailer, but damaged.
 */
int ibb_journal_recover(struct ibb_journal_io *io, const struct ibb_journal_id *id,
			enum ibb_journal_ending ending, struct ibb_journal_report *ret,
			struct ibb_error *err) IBB_MUST_CHECK;

/* "<real path of the image>.ibbake-journal"; when the path cannot be resolved, of the path. */
char *ibb_journal_path(const char *image) IBB_MUST_CHECK;
/* IBB_E_CONFLICT, with the remedy, when a journal lies beside the image. */
int ibb_journal_check(const char *image, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- the real files ---- */

/*
 * Does a journal beside this path lie beside the image? IBB_E_UNSUPPORTED when the file is mounted
 * by itself (a bind mount of a single file, as containers have them): what another one of its
 * mounts shows beside it is another directory.
 */
int ibb_journal_check_place(const char *image, int image_fd, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Files of the host. image_fd is open for reading and stays the caller's, `opened` is what the
 * image was when it was opened, and `sys` is "/sys"; begin() opens the same file a second time, for
 * writing, and locks it (see disk/inuse.h). The journal is made with mode 0600; create() refuses
 * (IBB_E_UNSUPPORTED) when the file system shows it as one that ibb_journal_host_open() would not
 * take. Refused as by ibb_journal_check_place().
 */
struct ibb_journal_host;
int ibb_journal_host_new(const char *image, int image_fd, const struct ibb_file_id *opened,
			 const char *sys, struct ibb_journal_host **ret,
			 struct ibb_error *err) IBB_MUST_CHECK;
/* The image is meant to be as it is now: what changed since it was opened is the caller's doing. */
int ibb_journal_host_renew(struct ibb_journal_host *h, struct ibb_error *err) IBB_MUST_CHECK;
struct ibb_journal_io *ibb_journal_host_io(struct ibb_journal_host *h);
/*
 * Open an existing journal. *ret_found false: there is none. Refused (IBB_E_CONFLICT): one that is
 * no regular file, has further names, can be written by somebody who cannot write to the image, or
 * belongs neither to us nor to the image's owner. A manifest outside the image's directory is
 * written only for a journal that is ours alone.
 */
int ibb_journal_host_open(struct ibb_journal_host *h, bool *ret_found,
			  struct ibb_error *err) IBB_MUST_CHECK;
void ibb_journal_host_free(struct ibb_journal_host *h);
IBB_DEFINE_CLEANUP(struct ibb_journal_host *, ibb_journal_host_free)

#endif
