/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a Windows volume is: version, state, hives, driver store. Reads, never writes.
 */
#ifndef IBB_INSPECT_FACTS_H
#define IBB_INSPECT_FACTS_H

#include "driver/store.h"
#include "hive/hive.h"
#include "inf/inf.h"
#include "volume/volume.h"

enum ibb_node { IBB_NODE_SYSTEM, IBB_NODE_DRIVERS, IBB_N_NODES };
enum ibb_hive_id { IBB_HIVE_SYSTEM, IBB_HIVE_DRIVERS, IBB_HIVE_SOFTWARE, IBB_N_HIVES };
const char *ibb_hive_id_name(enum ibb_hive_id h); /* "SYSTEM", "DRIVERS", "SOFTWARE" */

struct ibb_fact_hive {
	bool present;
	char *path;		       /* as spelt in the volume */
	struct ibb_hive_header header; /* as found; valid when header_ok */
	bool header_ok;
	struct ibb_hive *hive; /* NULL when it could not be opened; see problem */
	struct ibb_error problem;
	struct ibb_sha256 sha256; /* of the file's bytes */
	uint64_t size_bytes;
	size_t n_logs;
	struct ibb_fact_log {
		char *path;
		uint64_t size_bytes;
		struct ibb_sha256 sha256; /* valid when the hive was opened */
	} logs[IBB_HIVE_MAX_LOGS];	  /* .LOG, .LOG1, .LOG2, as far as they exist */
	/* what became of a dirty hive; its `logs` are those above */
	struct ibb_hive_recovery recovery;
	bool checked; /* by ibb_facts_check_hives(): */
	struct ibb_hive_check check;
	struct ibb_error unsound; /* code 0 when it is sound */
};

/* One package of a DriverDatabase node. */
struct ibb_fact_package {
	enum ibb_node node;
	char *name;	 /* key name: mlx5.inf_amd64_... */
	char *published; /* oem3.inf, or the inbox INF's name */
	bool oem;
	unsigned oem_number;
	char *inf_name, *provider, *signer, *catalog;
	bool has_version;
	struct ibb_version_blob version;
	bool boot_critical; /* its class is, in the current control set */
	bool in_use;	    /* a device, service or network component is set up with it */
	bool bound;	    /* a device or network component names its published INF */
	/* DriverInfFiles\<published> Active names it; else no device ID leads to it */
	bool active;
	bool unsigned_; /* SignerScore says so, or that nobody knows; without it: signed */
	/* filled by ibb_facts_read_store() for the INFs asked for */
	bool digest_known;
	struct ibb_sha256 inf_sha256, cat_sha256; /* without a signature, the latter is zero */
	bool files_missing; /* the database names it, the FileRepository lacks it */
};

/* A device instance below Enum\PCI\VEN_15B3*. */
struct ibb_fact_device {
	char *control_set, *device_id, *instance;
	char *driver; /* class key of the driver bound to it, or NULL */
	char *inf;    /* published INF that this driver came from, or NULL */
	char **ids;   /* hardware IDs then compatible IDs */
	size_t n_ids;
};

/* A service of the Azure virtual machine agent, in the current control set. */
struct ibb_fact_agent {
	const char *service; /* "WindowsAzureGuestAgent", "RdAgent" */
	bool present;
	uint32_t start;	 /* 2: automatic, 4: disabled */
	char *path;	 /* what it starts, in the volume; NULL when that cannot be told */
	bool file_found; /* and that is there */
};
#define IBB_N_AGENTS 2

struct ibb_facts {
	char *windows_dir; /* "Windows" as spelt in the volume */
	struct ibb_fact_hive hives[IBB_N_HIVES];

	/* Windows */
	struct ibb_inf_target target;
	char *product_name, *edition, *installation_type, *display_version, *product_type;
	unsigned ubr;
	bool server; /* by product_type; of a Windows PE this says nothing */
	bool pe;     /* Windows PE or Setup: boot.wim, the recovery image */

	/* control sets */
	char *control_set; /* "ControlSet001": Select\Current */
	char **control_sets;
	size_t n_control_sets;

	/* state */
	char *image_state; /* SOFTWARE ...\Setup\State ImageState, or NULL */
	uint32_t setup_type, setup_in_progress;
	bool generalized, audit, setup_unfinished;
	bool pending_xml, reboot_pending;
	unsigned vss_snapshots;
	bool usn_journal;
	char *winof2;	   /* version text, "" when installed without one, or NULL */
	char **extensions; /* versions of the VM extension's plugin folder */
	size_t n_extensions;

	/* what Azure asks about */
	bool paging_files_set; /* PagingFiles is there */
	char **paging_files;   /* its lines: "C:\\pagefile.sys 0 0" */
	size_t n_paging_files;
	struct ibb_fact_agent agents[IBB_N_AGENTS];

	/* driver store */
	const char *missing_dir; /* one of the store's directories that the image lacks */
	bool node_present[IBB_N_NODES];
	struct ibb_fact_package *packages;
	size_t n_packages, cap_packages;
	struct ibb_buf oem_map; /* OemInfMap */
	bool oem_map_present;
	uint8_t *oem_in_use; /* one byte a number: used by a file, a key or the map */
	size_t n_oem_in_use;
	struct ibb_fact_device *devices;
	size_t n_devices, cap_devices;

	char *nd_provider; /* DLL of a NetworkDirect provider in the Winsock catalog */

	char **warnings;
	size_t n_warnings, cap_warnings;
};

/*
 * Read them. A dirty hive is recovered from its transaction logs; with accept_dirty one without
 * usable logs is taken as it is. Both are warnings. A hive that cannot be opened is a fact (its
 * `problem`), so that inspect can show the rest; ibb_facts_check() turns what forbids an edit into
 * an error. Fails when the volume cannot be read or memory is short.
 */
int ibb_facts_read(struct ibb_volume *v, bool accept_dirty, struct ibb_facts **ret,
		   struct ibb_error *err) IBB_MUST_CHECK;
void ibb_facts_free(struct ibb_facts *f);
IBB_DEFINE_CLEANUP(struct ibb_facts *, ibb_facts_free)

/*
 * May this Windows be edited? SYSTEM, SOFTWARE and DRIVERS open, a DriverDatabase (8/2012 or
 * later), amd64, known version, no pending servicing unless `force`. The first reason against it.
 */
int ibb_facts_check(const struct ibb_facts *f, bool force, struct ibb_error *err) IBB_MUST_CHECK;

/* Read the digests of the INF and catalog of every OEM package whose InfName is one of names. */
int ibb_facts_read_store(struct ibb_facts *f, struct ibb_volume *v, const char *const *names,
			 size_t n, struct ibb_error *err) IBB_MUST_CHECK;

/* Is the class boot-critical in the current control set (or Extension)? Then its packages belong
 * to the SYSTEM node. Source: DEVPKEY_DeviceClass_BootCritical of the class key. */
int ibb_facts_class_is_boot_critical(const struct ibb_facts *f, const struct ibb_guid *class_guid,
				     bool *ret, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Check the cell graph of every hive that could be opened, as ibb_hive_check() does. What is wrong
 * becomes a fact (`unsound`). IBB_E_NOMEM only.
 */
int ibb_facts_check_hives(struct ibb_facts *f, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Hold the driver database against its own rules and against the files; every break is a warning
 * of the facts. Slower than reading them (all device IDs are looked at): for inspect.
 */
int ibb_facts_check_database(struct ibb_facts *f, struct ibb_volume *v,
			     struct ibb_error *err) IBB_MUST_CHECK;

/* What a staged package consists of in the volume: its directory and what lies in it (a directory
 * before its content), the published INF, its .PNF and the published catalog, as far as they exist.
 */
struct ibb_store_files {
	struct {
		char *path;
		bool is_dir;
	} * entries;
	size_t n, cap;
};
int ibb_facts_store_files(const struct ibb_fact_package *p, struct ibb_volume *v,
			  struct ibb_store_files *ret, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Where a driver file is that a PnpLockdownFiles key of SOFTWARE is named after: the volume path,
 * free() it. IBB_E_NOTFOUND when the name is of another form or leads elsewhere.
 */
#define IBB_LOCKDOWN_KEY "Microsoft\\Windows\\CurrentVersion\\Setup\\PnpLockdownFiles"
int ibb_facts_lockdown_path(const char *name, char **ret, struct ibb_error *err) IBB_MUST_CHECK;
/* The files outside the driver store whose PnpLockdownFiles entry names the package as an owner. */
int ibb_facts_copied_files(const struct ibb_facts *f, const struct ibb_fact_package *p,
			   struct ibb_volume *v, struct ibb_store_files *ret,
			   struct ibb_error *err) IBB_MUST_CHECK;
/* Is the package what an Owners list calls by this: "oem3.inf", or "!" and the package's name? */
bool ibb_facts_is_owner(const struct ibb_fact_package *p, const char *owner);
void ibb_store_files_clear(struct ibb_store_files *s);

/* One package of the image that serves a device ID, as its DeviceIds value says. */
struct ibb_fact_match {
	const struct ibb_fact_package *package;
	uint8_t data[4]; /* type, feature score, index */
	const char *id;
};
/* All packages registered for `id` in both nodes; free() the array. */
int ibb_facts_matches(const struct ibb_facts *f, const char *id, struct ibb_fact_match **ret,
		      size_t *ret_n, struct ibb_error *err) IBB_MUST_CHECK;

#endif
