/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What Windows writes when it configures a boot-critical package and reflects it into an image:
 * the package's Configurations, Descriptors and Strings, its services, the files outside the
 * driver store. Pure: an INF and the INFs it includes in, registry values and file names out.
 * Facts and their evidence are kept in src/driver/README.md.
 */
#ifndef IBB_DRIVER_CONFIGURE_H
#define IBB_DRIVER_CONFIGURE_H

#include "driver/inf_merge.h"
#include "driver/package.h"

/* Which key a value's key is relative to. */
enum ibb_configure_root {
	IBB_CONFIGURE_PACKAGE,	   /* SYSTEM: DriverDatabase\DriverPackages\<package> */
	IBB_CONFIGURE_INF_FILE,	   /* SYSTEM: DriverDatabase\DriverInfFiles\<published> */
	IBB_CONFIGURE_CONTROL_SET, /* SYSTEM: every ControlSet00N */
	IBB_CONFIGURE_SOFTWARE	   /* SOFTWARE */
};
/* What to do when the value is there already. Of a package's own keys nothing is there. */
enum ibb_configure_op {
	IBB_CONFIGURE_SET,
	IBB_CONFIGURE_SET_IF_ABSENT,
	IBB_CONFIGURE_APPEND, /* REG_MULTI_SZ: add the strings that the list lacks */
	IBB_CONFIGURE_DELETE_VALUE,
	IBB_CONFIGURE_DELETE_KEY,
	IBB_CONFIGURE_KEY /* the key must exist; name is NULL */
};
struct ibb_configure_value {
	enum ibb_configure_root root;
	enum ibb_configure_op op;
	const char *key;  /* '\\' separators, "" for the root itself */
	const char *name; /* "" is the default value */
	uint32_t type;	  /* as stored */
	struct ibb_bytes data;
	const char *evidence; /* "vmci.inf:97: AddReg" */
};
struct ibb_configure_values {
	size_t n, cap;
	struct ibb_configure_value *items;
};

/* A file that is copied out of the package. */
struct ibb_configure_file {
	const struct ibb_package_file *file;
	const char *dest;  /* volume path, "Windows/System32/drivers/vmci.sys" */
	uint32_t lockdown; /* Class of its PnpLockdownFiles entry */
	const char *evidence;
};

/* A service that the package makes. */
struct ibb_configure_service {
	const char *name;
	uint32_t start;
	const char *binary; /* volume path; it is one of the files' */
	const char *section, *event_section, *evidence;
};

/* ---- the package's own keys, understood ---- */

struct ibb_string_list {
	size_t n;
	const char *const *items;
};
/* Configurations\<name> */
struct ibb_config_section {
	const char *name;
	const char *service; /* NULL: the section has no associated service; "": the NULL driver */
	bool has_scope, has_flags, reboot;
	uint32_t scope, flags;
	struct ibb_string_list included, upper_filters, lower_filters, exclude_ids;
	/* below it: Device, Driver, Services\<service>, Properties, Interfaces */
	struct ibb_configure_values values;
	const char *evidence;
};
/* Descriptors\<id> */
struct ibb_config_descriptor {
	const char *id, *configuration, *manufacturer, *description;
	const char *evidence;
};
struct ibb_config_string {
	const char *token, *text; /* the token without its '%', lower case */
	const char *evidence;
};
struct ibb_config_record {
	size_t n_sections, n_descriptors, n_strings;
	size_t cap_sections, cap_descriptors, cap_strings;
	struct ibb_config_section *sections;
	struct ibb_config_descriptor *descriptors;
	struct ibb_config_string *strings;
};

/* ConfigScope: which parts the install section has. */
#define IBB_CONFIG_SCOPE_MAIN	    0x001u
#define IBB_CONFIG_SCOPE_HW	    0x002u
#define IBB_CONFIG_SCOPE_SERVICES   0x004u
#define IBB_CONFIG_SCOPE_INTERFACES 0x008u
#define IBB_CONFIG_SCOPE_WDF	    0x100u

/* Value types carry what AddReg asked for besides the type. */
#define IBB_CONFIG_TYPE_SET_IF_ABSENT 0x020000u
#define IBB_CONFIG_TYPE_APPEND	      0x040000u
#define IBB_CONFIG_TYPE_DELETE_KEY    0x100000u
#define IBB_CONFIG_TYPE_DELETE_VALUE  0x200000u

/*
 * The record as registry values and back. Encoding appends to *ret (free() the items), strings and
 * data come from the arena. Decoding takes the values below a package key's Configurations,
 * Descriptors and Strings, key by key, and an IBB_CONFIGURE_KEY for each key without values and
 * subkeys; anything it does not know is IBB_E_UNSUPPORTED, malformed data IBB_E_CORRUPT. What was
 * decoded encodes to the same values. ibb_config_record_clear() frees the lists.
 */
int ibb_config_record_encode(const struct ibb_config_record *rec, struct ibb_arena *arena,
			     struct ibb_configure_values *ret,
			     struct ibb_error *err) IBB_MUST_CHECK;
int ibb_config_record_decode(const struct ibb_configure_value *values, size_t n,
			     struct ibb_arena *arena, struct ibb_config_record *ret,
			     struct ibb_error *err) IBB_MUST_CHECK;
void ibb_config_record_clear(struct ibb_config_record *rec);

/* ---- the whole ---- */

struct ibb_configure_opts {
	const char *published;	  /* "oem3.inf" */
	const char *package_name; /* "vmci.inf_amd64_...", see ibb_store_package_name() */
	struct ibb_inf_provider included;
};
struct ibb_configuration {
	struct ibb_arena arena;
	struct ibb_config_record record;
	struct ibb_configure_values values; /* everything that goes into hives, record included */
	size_t n_files, cap_files;
	struct ibb_configure_file *files;
	size_t n_services, cap_services;
	struct ibb_configure_service *services;
};

/*
 * May a package be reflected into this Windows at all? IBB_E_UNSUPPORTED with the reason: what
 * Windows 11 and Server 2025 keep besides (PnpResources) is not known; before 8 there is no driver
 * database.
 */
int ibb_configure_target(const struct ibb_inf_target *t, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * The whole configuration, or nothing: a directive, flag or form that is not understood is
 * IBB_E_UNSUPPORTED with file, line and directive. IBB_E_CORRUPT, IBB_E_LIMIT, IBB_E_NOMEM.
 */
int ibb_configure_build(struct ibb_package *p, const struct ibb_configure_opts *opts,
			struct ibb_configuration **ret, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_configuration_free(struct ibb_configuration *c);
IBB_DEFINE_CLEANUP(struct ibb_configuration *, ibb_configuration_free)

#endif
