/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The WIM back end; included by wim*.c only.
 *
 * wim.c        open and close
 * wim_error.c  errors of wimlib
 * wim_images.c XML data
 * wim_header.c the header, checked before wimlib sees the file
 * wim_parts.c  the other files of a split WIM
 * wim_tree.c   names: lookup and list, over wimlib_iterate_dir_tree()
 * wim_names.c  names that wimlib would leave out without a word, and metadata that it hides
 * wim_blob.c   content of a file from its resource
 * wim_volume.c an image as a volume: what is staged, laid over what the image has
 * wim_stage.c  changes: a scratch NTFS volume and a list of what is removed
 * wim_scratch.c  that volume: where it lives, and the image's directories in it
 * wim_commit.c changes to the WIM, in memory
 * wim_props.c  what its XML data says, kept over that
 * wim_usage.c  how much of the file is in use
 * wim_write.c  to a new file, or behind the old one
 * wim_compare.c, wim_xml.c  is all that nobody asked to change as it was?
 * wim_content.c did the content of every file arrive?
 * wim_integrity.c the integrity table
 */
#ifndef IBB_VOLUME_WIM_INTERNAL_H
#define IBB_VOLUME_WIM_INTERNAL_H

#include <wimlib.h>

#include "volume/backend.h"
#include "volume/wim.h"

#define WIM_HEADER_BYTES	 208u
#define WIM_FLAG_RESOURCE_ONLY	 0x10u
#define WIM_FLAGS_OF_COMPRESSION 0xffff0002u

struct wim_header {
	bool pipable;
	uint32_t flags, chunk_bytes, images;
	struct ibb_guid guid;
	unsigned part, parts;
	uint64_t table_end;			 /* of the table of contents */
	uint64_t integrity_off, integrity_bytes; /* 0: none */
};
/* Whether sizes and places in it can be true is checked. IBB_E_CORRUPT, UNSUPPORTED, LIMIT. */
int ibb_wim_header_read(struct ibb_disk *d, struct wim_header *ret,
			struct ibb_error *err) IBB_MUST_CHECK;

/* The chunk of a solid resource that was decompressed last: the next file lies in it, too. */
struct wim_chunk {
	struct ibb_buf data; /* empty: none */
	unsigned part;
	uint64_t resource, index;
};

struct ibb_wim {
	char *path, *name; /* name: for messages */
	struct ibb_disk *file;
	struct ibb_file_id id;
	WIMStruct *lib;
	struct wim_header header;
	enum wimlib_compression_type compression; /* of resources that are not solid */
	struct ibb_wim_info info;
	struct ibb_wim_image *images; /* images[i] has index i + 1 */
	/* part n of a split WIM at [n - 1], NULL when it is not split; [0] is `file` */
	struct ibb_disk **parts;
	struct ibb_file_id *part_ids;
	struct wim_chunk chunk;
	bool *changed; /* per image: something was committed */
	bool *counted; /* and wimlib has counted its files; NULL: none */
	/* scratch volumes that committed content is still read from, until it is written */
	int *staged_fds;
	size_t n_staged_fds, cap_staged_fds;
	uint64_t staged_memory; /* of all scratch volumes that live in memory, bytes */
	uint64_t staged_limit;	/* 0: IBB_LIMIT_WIM_STAGED; tests lower it */
};

/* The error of a wimlib call, with what it means for `what`. Always negative. */
int ibb_wim_fail(const struct ibb_wim *w, int code, struct ibb_error *err, const char *fmt, ...)
	IBB_PRINTF(4, 5);

/* Fills w->images, for which info.images is known. IBB_E_NOMEM. */
int ibb_wim_images_read(struct ibb_wim *w, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_wim_image_clear(struct ibb_wim_image *im);

/* Finds, opens and checks the parts beside the first one, and gives them to wimlib. */
int ibb_wim_parts_open(struct ibb_wim *w, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_wim_parts_reference(struct ibb_wim *w, struct ibb_error *err) IBB_MUST_CHECK;
/* The file of part n (from 1); free() it. NULL: no memory. */
char *ibb_wim_part_path(const char *first, unsigned n) IBB_MUST_CHECK;
/* "give the first part" for a path that is the nth; IBB_E_UNSUPPORTED. */
int ibb_wim_not_first(const struct ibb_wim *w, struct ibb_error *err);
/* The command that joins the parts, as hint; returns code. */
int ibb_wim_hint_join(const struct ibb_wim *w, int code, struct ibb_error *err);

/* ibb_disk_file_unchanged() of the WIM, which messages may call by another name. */
int ibb_wim_unchanged(struct ibb_wim *w, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- the tree as the WIM has it, without what is staged ---- */

struct wim_node {
	char *path; /* as spelt in the image, normal form */
	char *dos_name;
	struct ibb_stat st;
	uint64_t created, accessed, modified; /* FILETIME */
	uint32_t attributes;
	struct ibb_buf security; /* empty: none */
	unsigned named_streams;
	struct wimlib_object_id object_id;
	struct wimlib_resource_entry data; /* the unnamed stream */
};
void ibb_wim_node_clear(struct wim_node *n);
/* Can its content be read? IBB_E_UNSUPPORTED for a reparse point and for an encrypted file. */
int ibb_wim_check_plain(const struct wim_node *n, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * IBB_E_NOTFOUND; IBB_E_UNSUPPORTED when a component before the last is a reparse point. "" is the
 * root.
 */
int ibb_wim_lookup(struct ibb_wim *w, unsigned index, const char *path, struct wim_node *ret,
		   struct ibb_error *err) IBB_MUST_CHECK;
/* Names in a directory. */
int ibb_wim_children(struct ibb_wim *w, unsigned index, const char *dir, struct ibb_dirents *out,
		     struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Has the directory that `path` lies in no two names that are the path's but for case? wimlib would
 * take either for the other. A directory that is not there has none. IBB_E_UNSUPPORTED.
 */
int ibb_wim_check_unique(struct ibb_wim *w, unsigned index, const char *path,
			 struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Is every name of the image one that a file can have, and no two of a directory the same? wimlib
 * leaves others out without a word. IBB_E_CORRUPT; IBB_E_LIMIT for paths of no sensible length.
 */
int ibb_wim_check_names(struct ibb_wim *w, unsigned index, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Has the file at `path`, as spelt in the image, nothing that it would lose if it were made anew
 * with the metadata of struct wim_node: extended attributes, and what nobody knows? See
 * ibb_volume_open_wim() for what may go. IBB_E_UNSUPPORTED.
 */
int ibb_wim_check_extras(struct ibb_wim *w, unsigned index, const char *path,
			 struct ibb_error *err) IBB_MUST_CHECK;

/* ---- content; wim_blob.c ---- */

/*
 * The blob in pieces, digest (SHA-1) checked at the end: fn has seen damaged bytes by then, so the
 * caller discards what it did when this fails. IBB_E_CORRUPT, IBB_E_LIMIT.
 */
int ibb_wim_blob_stream(struct ibb_wim *w, const char *path,
			const struct wimlib_resource_entry *blob, uint64_t limit, ibb_piece_fn fn,
			void *ctx, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_wim_blob_read(struct ibb_wim *w, const char *path, const struct wimlib_resource_entry *blob,
		      uint64_t limit, struct ibb_buf *ret, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * What the XML data says of a Windows, over a change; wim_props.c. IBB_E_UNSUPPORTED for what
 * wimlib would write over and cannot put back: elements, or attributes alone, where a text belongs.
 */

#define WIM_PROPS 81u
struct wim_props {
	char *values[WIM_PROPS]; /* NULL: not there */
	bool held[3];
};
int ibb_wim_props_save(struct ibb_wim *w, unsigned index, struct wim_props *ret,
		       struct ibb_error *err) IBB_MUST_CHECK;
int ibb_wim_props_restore(struct ibb_wim *w, unsigned index, const struct wim_props *p,
			  struct ibb_error *err) IBB_MUST_CHECK;
void ibb_wim_props_clear(struct wim_props *p);

/* ---- writing ---- */

/*
 * Would wimlib append to it, and nothing else? IBB_E_UNSUPPORTED for an order of its parts for
 * which wimlib writes a new file instead, and for a file that has more behind its end.
 */
int ibb_wim_check_append(const struct ibb_wim *w, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * The IMAGE element of image `index` (0: all that is outside of such elements) in a form in which
 * what means the same is the same: one way to quote, no references but to < > &, CDATA as text, no
 * elements that have neither attributes nor content, no comments, no XML declaration, no carriage
 * returns; without the size of the WIM, and without what a change of the image changes, unless
 * `counts`. IBB_E_CORRUPT, IBB_E_NOMEM.
 */
int ibb_wim_xml_canonical(const char *xml, size_t n, unsigned index, bool counts,
			  struct ibb_buf *out, struct ibb_error *err) IBB_MUST_CHECK;

/* What ibb_wim_compare() says of names; wim_compare_tree.c. */
int ibb_wim_compare_trees(struct ibb_wim *before, struct ibb_wim *now, unsigned index,
			  const struct ibb_wim_changed *changed,
			  struct ibb_error *err) IBB_MUST_CHECK;

/* ---- reading back; wim_content.c, wim_integrity.c ---- */

struct wim_checking {
	ibb_wim_progress_fn progress; /* may be NULL */
	void *ctx;
	const char *name;
	uint64_t done, said, total;
};
/* n bytes more; says so once a MiB. IBB_E_CANCELLED. */
int ibb_wim_checking_step(struct wim_checking *p, uint64_t n, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Does the integrity table, if there is one, have the digest of every piece of the file? Of a file
 * that was appended to since `old` (else NULL) was opened only pieces that are new, or have another
 * digest than before, are read. IBB_E_CORRUPT.
 */
int ibb_wim_check_integrity(struct ibb_wim *old, struct ibb_wim *w, struct wim_checking *p,
			    struct ibb_error *err) IBB_MUST_CHECK;
/*
 * An append has wimlib reckon the digest of the last piece anew, from whatever bytes are there, so
 * that damage in it would get a digest that fits: do those pieces match the table that is there?
 * IBB_E_CORRUPT.
 */
int ibb_wim_check_appendable(const struct ibb_wim *w, struct ibb_error *err) IBB_MUST_CHECK;
/* About how much ibb_wim_check_integrity() reads. */
uint64_t ibb_wim_integrity_bytes(const struct ibb_wim *old, const struct ibb_wim *w);

/* ---- the volume; wim_stage.c has what changes it ---- */

/* Paths, sorted by ibb_casecmp(), so that a directory comes before what lies below it. */
struct wim_paths {
	char **items;
	size_t n, cap;
};

struct wim_be {
	struct ibb_volume base;
	struct ibb_wim *wim;
	unsigned index;
	char *temp_dir; /* or NULL */
	/*
	 * Staged: an NTFS volume that holds what is new, below copies of the image's directories
	 * (security, attributes, times), so that new objects inherit as on a disk. NULL until the
	 * first change.
	 */
	struct ibb_disk *scratch_disk;
	struct ibb_volume *scratch;
	uint64_t scratch_memory; /* its share of wim->staged_memory */
	/* what the scratch volume holds that is new, and which of its directories are copies */
	struct wim_paths staged, copies;
	/* paths of the image, as spelt there, that are gone, or hidden by what is staged */
	struct wim_paths removed;
};

static inline struct wim_be *to_wim(struct ibb_volume *v)
{
	return (struct wim_be *)v;
}

/*
 * Is this path, or a directory on its way, among `removed`? What lies there in the image is gone,
 * or hidden by what is staged in its place.
 */
bool ibb_wim_is_removed(const struct wim_be *b, const char *path);
/* The same of what is staged: nothing of the image is there either. */
bool ibb_wim_is_staged(const struct wim_be *b, const char *path);

/* What there is at a path: something staged, or of the image. */
struct wim_seen {
	char *path; /* without aliases of 8.3 characters; what is staged lies there in `scratch` */
	bool staged;
	struct ibb_stat st;   /* either way */
	struct wim_node node; /* when it is of the image */
};
/*
 * IBB_E_NOTFOUND; then too *ret is set, to the path where it would come to be. ibb_wim_seen_clear()
 * in any case. IBB_E_UNSUPPORTED as ibb_wim_lookup().
 */
int ibb_wim_look(struct wim_be *b, const char *path, struct wim_seen *ret,
		 struct ibb_error *err) IBB_MUST_CHECK;
void ibb_wim_seen_clear(struct wim_seen *s);

int ibb_wim_put(struct ibb_volume *v, const char *path, struct ibb_bytes content,
		enum ibb_put_mode mode, const struct ibb_meta *meta, struct ibb_error *err);
int ibb_wim_mkdir(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		  struct ibb_error *err);
int ibb_wim_remove(struct ibb_volume *v, const char *path, struct ibb_error *err);
int ibb_wim_touch(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		  struct ibb_error *err);
int ibb_wim_commit(struct ibb_volume *v, struct ibb_error *err);
/* Discard what is staged; at close. */
void ibb_wim_stage_clear(struct wim_be *b);

/*
 * What is staged in a directory, a copied one too: IBB_E_NOTFOUND when nothing is. A directory that
 * is only a copy of the image's counts as not staged.
 */
int ibb_wim_staged_list(struct wim_be *b, const char *dir, struct ibb_dirents *out,
			struct ibb_error *err) IBB_MUST_CHECK;

#endif
