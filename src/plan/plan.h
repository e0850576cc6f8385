/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The plan: an ordered list of typed operations that turn the image into one that holds the
 * driver packages, each with its precondition, its reason and its evidence. Building it is a pure
 * function; nothing is written.
 */
#ifndef IBB_PLAN_PLAN_H
#define IBB_PLAN_PLAN_H

#include "base/json.h"
#include "driver/configure.h"
#include "plan/select.h"

enum ibb_op_kind {
	IBB_OP_MKDIR,	   /* precondition: the directory does not exist */
	IBB_OP_PUT,	   /* a new file; precondition: no file of that name, or `may_replace` */
	IBB_OP_KEY,	   /* create a registry key; precondition: it does not exist */
	IBB_OP_VALUE,	   /* set a registry value; precondition: `before` */
	IBB_OP_CLEAR_LOG,  /* make a hive's transaction log unusable, so that nothing is replayed
			      over the edit; precondition: the log exists */
	IBB_OP_REMOVE,	   /* a file or an empty directory; precondition: it exists */
	IBB_OP_UNSET,	   /* remove a registry value; precondition: `before` */
	IBB_OP_DELETE_KEY, /* an empty registry key; precondition: it exists and is empty */
	IBB_OP_MARK_CLEAN  /* write a hive that was accepted dirty as a clean one */
};

struct ibb_op {
	enum ibb_op_kind kind;
	const char *path;		     /* of a file or directory in the volume */
	const struct ibb_package_file *file; /* PUT: borrowed from the package */
	bool may_replace;		     /* PUT: a file of that name may be there */
	bool like_parent;		     /* KEY: its security is its parent's */
	/* KEY: a descriptor of its own, in static storage; empty: one of the above */
	struct ibb_bytes sd;
	enum ibb_hive_id hive; /* KEY, VALUE, UNSET, DELETE_KEY, MARK_CLEAN */
	const char *key, *value;
	uint32_t type;
	struct ibb_bytes data;
	bool had_before;
	uint32_t before_type;
	struct ibb_bytes before;
	const char *reason;   /* what it is for */
	const char *evidence; /* "mlx5.inf:8542", "OemInfMap", ... */
};

/* Where new keys of a node take their security descriptor from. */
struct ibb_key_security_plan {
	bool needed;
	char *like;	   /* path of a key made by Windows for an OEM package, or NULL */
	struct ibb_buf sd; /* else this descriptor: the parent's DACL, owner and group SYSTEM */
};

/* One package of the plan. */
struct ibb_plan_package {
	struct ibb_package *package;		 /* borrowed */
	const struct ibb_fact_package *existing; /* identical one already staged, or NULL */
	char *name;				 /* mlx5.inf_amd64_0123456789abcdef */
	char published[16];			 /* oem3.inf */
	unsigned oem_number;
	enum ibb_node node;
	const char *node_reason;
	struct {
		bool done;
		const char *rule; /* what decided */
	} reflect;
	uint32_t status_flags, signer_score;
	size_t n_device_ids;
};

/* A staged package to take out. */
struct ibb_removal {
	const struct ibb_fact_package *package; /* borrowed */
	struct ibb_store_files files;		/* from ibb_facts_store_files() */
	struct ibb_store_files copied;		/* from ibb_facts_copied_files() */
};
void ibb_removal_clear(struct ibb_removal *x);

struct ibb_plan {
	struct ibb_arena arena;
	struct ibb_op *ops;
	size_t n_ops, cap_ops;
	struct ibb_plan_package *packages;
	size_t n_packages;
	const struct ibb_fact_package **removed; /* borrowed */
	size_t n_removed;
	struct ibb_key_security_plan security[IBB_N_HIVES]; /* of keys of the driver database */
	const char **warnings;				    /* in the arena */
	size_t n_warnings, cap_warnings;
	uint64_t time;		 /* FILETIME of everything written */
	uint64_t new_file_bytes; /* sizes of the files to put */
	uint64_t registry_bytes; /* estimate of hive growth */
};

/* The hive that holds a node. */
static inline enum ibb_hive_id ibb_node_hive(enum ibb_node n)
{
	return n == IBB_NODE_SYSTEM ? IBB_HIVE_SYSTEM : IBB_HIVE_DRIVERS;
}

struct ibb_plan_opts {
	int64_t unix_time;
	/* A package is reflected if and only if its class is boot-critical in the image and its
	 * associated service starts at boot; never: such a package is staged only. */
	bool never_reflect;
	struct ibb_inf_provider included; /* the image's own INFs */
};

/*
 * Build the plan for staging packages[0..n) (distinct) into the image described by f, whose
 * digests were read with ibb_facts_read_store(). What is boot-critical is configured as well, for
 * which no INF of the image is at hand.
 * IBB_E_UNSUPPORTED: a package that would have to be configured and cannot be; IBB_E_CONFLICT: the
 * driver store contradicts itself, or two packages configure the same; IBB_E_LIMIT: no free oemN
 * number.
 */
int ibb_plan_build(const struct ibb_facts *f, struct ibb_package *const *packages, size_t n,
		   int64_t unix_time, struct ibb_plan **ret, struct ibb_error *err) IBB_MUST_CHECK;
/* The same with options, and take removals[0..m) out. */
int ibb_plan_build_changes(const struct ibb_facts *f, struct ibb_package *const *packages, size_t n,
			   const struct ibb_removal *removals, size_t m,
			   const struct ibb_plan_opts *o, struct ibb_plan **ret,
			   struct ibb_error *err) IBB_MUST_CHECK;
void ibb_plan_free(struct ibb_plan *p);
IBB_DEFINE_CLEANUP(struct ibb_plan *, ibb_plan_free)

/* Is a package of the image this very one (same INF, same catalog)? */
bool ibb_plan_is_identical(const struct ibb_fact_package *e, const struct ibb_package *p);

/* Does the plan fit? IBB_E_UNSUPPORTED with both numbers when not. */
int ibb_plan_check_space(const struct ibb_plan *p, const struct ibb_volume_info *info,
			 struct ibb_error *err) IBB_MUST_CHECK;

/* The three lines of readiness. */
enum ibb_ready { IBB_READY_YES, IBB_READY_AT_BOOT, IBB_READY_NO };
struct ibb_readiness {
	enum ibb_ready driver, address, user_nd;
	char driver_reason[512];
	const char *address_reason;
	char user_nd_reason[512];
};
const char *ibb_ready_name(enum ibb_ready r); /* "ready", "at boot", "absent" */
void ibb_plan_readiness(const struct ibb_selection *s, struct ibb_readiness *ret);
/* The same of an image as it is, for a function: `m` and `bare` from ibb_select_in_image(). */
void ibb_plan_readiness_in_image(const struct ibb_facts *f, const struct ibb_fact_match *m,
				 bool bare, struct ibb_readiness *ret);

/* JSON: the operations, and one selection. */
/*
 * What may be said of the signatures of all packages together: "test trust" (a root that the user
 * added), "allowed" (by --allow), "verified", "none" (no package), "not verified" (nobody asked).
 */
const char *ibb_plan_signature(const struct ibb_plan *p);
/* How a package is vouched for; null when nobody asked. */
void ibb_package_trust_json(const struct ibb_package *p, struct ibb_jb *b, struct ibb_json *obj,
			    const char *key);
void ibb_plan_json(const struct ibb_plan *p, struct ibb_jb *b, struct ibb_json *obj);
void ibb_selection_json(const struct ibb_selection *s, struct ibb_jb *b, struct ibb_json *obj);
void ibb_resolution_json(const struct ibb_resolution *r, struct ibb_jb *b, struct ibb_json *obj);
void ibb_readiness_json(const struct ibb_readiness *r, struct ibb_jb *b, struct ibb_json *obj);
/* "REG_SZ" and the like, or "0xffff0012". */
void ibb_reg_type_name(uint32_t type, char out[24]);

#endif
