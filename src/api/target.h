/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an output image is to be, and its making: what bake, drivers and convert share. */
#ifndef IBB_API_TARGET_H
#define IBB_API_TARGET_H

#include "disk/chain.h"
#include "disk/copy.h"
#include "ibbake/ibbake.h"

/* "vhd", "vhd-dynamic", "vhdx", "raw"; "auto", "always", "never": as on the command line. */
const char *ibb_target_format_name(enum ibb_output_format f);
const char *ibb_target_sparse_name(enum ibb_output_sparse s);

/* What a file of this format is found to be. */
enum ibb_container ibb_target_kind(enum ibb_output_format f);

/* How large a disk of `bytes` becomes in the output. */
uint64_t ibb_target_bytes(enum ibb_output_format f, uint64_t bytes);

/* Does the name of the output contradict its format? IBB_E_INVALID with what to write. */
int ibb_target_check_name(const struct ibb_request *q, struct ibb_error *err) IBB_MUST_CHECK;

/* The same for an output that is a WIM. */
int ibb_target_check_wim_name(const struct ibb_request *q, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Refuse, before any work, a path that would destroy something: it exists without `overwrite`, is a
 * file of the chain under any name, or is no regular file. `what` is "output", "manifest", ...
 */
int ibb_target_check_path(const struct ibb_chain *c, const char *path, const char *what,
			  bool overwrite, struct ibb_error *err) IBB_MUST_CHECK;

/* Of that, what is not about a chain. */
int ibb_target_check_file(const char *path, const char *what, bool overwrite,
			  struct ibb_error *err) IBB_MUST_CHECK;

struct ibb_target {
	const struct ibb_request *q;   /* borrowed */
	const struct ibb_chain *chain; /* the source; borrowed */
	struct ibb_disk *changes;      /* overlay over the chain's disk; NULL: none; held */
	struct ibb_disk *disk;	       /* what the output shall hold; held */
	struct ibb_disk *growth;       /* overlay with what growing changed, on top; NULL: none */
	uint64_t grown_bytes;	       /* put to the end, for whole MiB */
	struct ibb_write_opts write;   /* but for the identity, which is known at the end */
	bool keep_footer;
	uint8_t footer[IBB_VHD_FOOTER_BYTES]; /* the one to keep */
	struct ibb_copy_stats stats;	      /* of the copy */
};

/*
 * What shall become of the chain's disk with `changes` over it (an overlay, or NULL): its format,
 * how far it has to grow. Nothing is written. IBB_E_UNSUPPORTED when the format cannot hold it or
 * it cannot grow. A fixed VHD that stays one keeps its footer.
 */
int ibb_target_open(const struct ibb_request *q, const struct ibb_chain *c,
		    struct ibb_disk *changes, struct ibb_target *ret,
		    struct ibb_error *err) IBB_MUST_CHECK;
void ibb_target_close(struct ibb_target *t);

/* Who may not read the source may not read the result either. */
int ibb_target_keep_private(struct ibb_disk *source, const struct ibb_atomic *out,
			    struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Fill the new file: who may not read the sources may not read it, then a clone with the changed
 * blocks, or the disk's data; the identity is made up (see ibb_request.reproducible). Then the
 * sources must be what they were (IBB_E_CHANGED). Reports the phases "copy" and "check".
 */
int ibb_target_fill(struct ibb_target *t, const struct ibb_atomic *out,
		    struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Is `out`, the output opened again, of the kind and size that was asked for, with every changed
 * block and a sample of the rest? *ret_compared: bytes compared of that sample. IBB_E_IO.
 */
int ibb_target_check(const struct ibb_target *t, const struct ibb_chain *out,
		     uint64_t *ret_compared, struct ibb_error *err) IBB_MUST_CHECK;

#endif
