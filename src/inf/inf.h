/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Windows INF files: lexing, %strings%, decorated sections, models, install sections.
 *
 * Sources: Microsoft, "General Syntax Rules for INF Files", "INF Manufacturer Section", "INF
 * Models Section", "Combining Platform Extensions with Operating System Versions", "INF
 * DDInstall Section", "INF Strings Section", "INF SourceDisksFiles Section", "INF DestinationDirs
 * Section", "INF FeatureScore Directive". Pure: bytes in, structs out; everything returned lives as
 * long as the INF.
 */
#ifndef IBB_INF_INF_H
#define IBB_INF_INF_H

#include "base/buf.h"
#include "base/guid.h"

struct ibb_inf;

enum ibb_inf_encoding { IBB_INF_ANSI, IBB_INF_UTF8, IBB_INF_UTF16LE, IBB_INF_UTF16BE };

/*
 * Parse. `name` is for messages ("mlx5.inf:123: ..."). The bytes are only read during the call.
 * ANSI text is taken as Windows-1252 (the code page of the machine that made the file is unknown;
 * names and IDs are ASCII). Duplicate section names are merged in file order, as setupapi does.
 * IBB_E_CORRUPT with line; IBB_E_LIMIT.
 */
int ibb_inf_parse(const char *name, struct ibb_bytes bytes, struct ibb_inf **ret,
		  struct ibb_error *err) IBB_MUST_CHECK;
void ibb_inf_free(struct ibb_inf *inf);
IBB_DEFINE_CLEANUP(struct ibb_inf *, ibb_inf_free)
const char *ibb_inf_name(const struct ibb_inf *inf);
/* A fault in the INF: "name:line: ..." (line 0: "name: ..."); sets err and returns code. */
int ibb_inf_err(const struct ibb_inf *inf, unsigned line, int code, struct ibb_error *err,
		const char *fmt, ...) IBB_PRINTF(5, 6);
enum ibb_inf_encoding ibb_inf_encoding(const struct ibb_inf *inf);

/* One line of a section: "key = field 1, field 2" or "field 1, field 2" (key NULL). */
struct ibb_inf_line {
	unsigned line;	 /* 1-based, where it begins */
	const char *key; /* %strings% expanded; NULL when there is no '=' */
	size_t n;
	const char *const *fields; /* %strings% expanded; "" for an empty field */
	const char *raw_key;	   /* before expansion */
	const char *const *raw_fields;
};
struct ibb_inf_section {
	const char *name; /* as first spelt */
	unsigned line;
	size_t n;
	const struct ibb_inf_line *lines;
};
size_t ibb_inf_n_sections(const struct ibb_inf *inf);
const struct ibb_inf_section *ibb_inf_section_at(const struct ibb_inf *inf, size_t i);
/* Case-insensitive; NULL when there is none. */
const struct ibb_inf_section *ibb_inf_section(const struct ibb_inf *inf, const char *name);
/* The first line of a section with this key (case-insensitive), or NULL. */
const struct ibb_inf_line *ibb_inf_find(const struct ibb_inf *inf, const char *section,
					const char *key);
/* Field i of that line, or NULL. */
const char *ibb_inf_value(const struct ibb_inf *inf, const char *section, const char *key,
			  size_t i);

/*
 * The value of a %token% name: of the one language section nearest to en-US (0409, 0009, any other
 * English), then of [Strings]; NULL: none. Values are not expanded again.
 */
const char *ibb_inf_string(const struct ibb_inf *inf, const char *token);

/* ---- target ---- */

enum ibb_arch { IBB_ARCH_X86 = 0, IBB_ARCH_ARM = 5, IBB_ARCH_AMD64 = 9, IBB_ARCH_ARM64 = 12 };
/* "amd64", as in decorations (NTamd64) and package names. */
const char *ibb_arch_name(enum ibb_arch a);

struct ibb_inf_target {
	enum ibb_arch arch;
	unsigned major, minor, build;
	unsigned product_type; /* 1 workstation, 2 domain controller, 3 server */
	unsigned suite_mask;   /* VER_SUITE_*; 0 when unknown */
};

/*
 * A decoration "NTamd64.10.0.1.0x80.18362": does it apply to the target, and does it beat another?
 * Parse: false when it is none. Rank: 0 when it does not apply, else higher is more specific, by
 * the documented rule (highest OS version not above the target's, then build, then product type,
 * then suite mask, architecture before plain NT before none).
 */
struct ibb_inf_decoration {
	bool nt, has_arch, has_version, has_product, has_suite, has_build;
	enum ibb_arch arch;
	unsigned major, minor, product_type, suite_mask, build;
};
bool ibb_inf_decoration_parse(const char *s, struct ibb_inf_decoration *ret);
uint64_t ibb_inf_decoration_rank(const struct ibb_inf_decoration *d,
				 const struct ibb_inf_target *t);

/* ---- [Version] ---- */

struct ibb_inf_version {
	const char *class_name; /* Class; "" when missing */
	struct ibb_guid class_guid;
	const char *provider;
	int year, month, day; /* DriverVer */
	uint64_t date;	      /* FILETIME, 00:00 UTC */
	uint16_t version[4];  /* w.x.y.z */
	char version_text[24];
	const char *catalog; /* CatalogFile[.decoration] for the target, or NULL */
	unsigned catalog_line, driver_ver_line;
	bool pnp_lockdown;
	const char *extension_id; /* Extension INFs */
};
/* IBB_E_CORRUPT with line: no [Version], Signature not $Windows NT$ or $Chicago$, no or malformed
 * ClassGuid, DriverVer missing, malformed or impossible, Provider missing. */
int ibb_inf_version(const struct ibb_inf *inf, const struct ibb_inf_target *t,
		    struct ibb_inf_version *ret, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- models ---- */

struct ibb_inf_model {
	unsigned line;
	const char *description, *install_section; /* as written */
	const char *manufacturer;
	const char *hardware_id; /* spelt as in the INF */
	size_t n_compatible;
	const char *const *compatible_ids;
};
struct ibb_inf_models {
	size_t n_sections;
	const char *const *sections; /* the chosen models sections, one a manufacturer line */
	const unsigned *section_lines;
	const char *const *reasons; /* why each was chosen over its siblings, one sentence */
	size_t n;
	const struct ibb_inf_model *models; /* file order */
};
/*
 * The models sections Windows would choose for the target. No [Manufacturer], no section that
 * applies, or only empty ones (how an INF excludes a Windows): IBB_E_UNSUPPORTED naming what the
 * INF offers. An ID over IBB_LIMIT_DEVICE_ID_CHARS or with control characters: IBB_E_CORRUPT.
 * Result owned by inf.
 */
int ibb_inf_models(struct ibb_inf *inf, const struct ibb_inf_target *t, struct ibb_inf_models *ret,
		   struct ibb_error *err) IBB_MUST_CHECK;

/* ---- install sections ---- */

/* One file the package brings and where it is copied. */
struct ibb_inf_file {
	const char *source;	 /* file name in the package (the name before renaming) */
	const char *source_dir;	 /* directory below the INF's, '\' separators, "" for none */
	const char *cabinet;	 /* tag or cabinet file of its disk, or NULL */
	const char *cabinet_dir; /* that disk's path: where the cabinet may lie */
	bool cabinet_first;	 /* flag 0x10: it is a cabinet, and the file is in it */
	unsigned line;		 /* SourceDisksFiles line, or the CopyFiles line */
	int dirid;		 /* DestinationDirs directory id; 0 when it is not copied */
	const char *dest_subdir, *dest_name;
};
/* What installing one model would do, as far as staging has to know. */
struct ibb_inf_install {
	const char *section; /* the DDInstall section chosen, decorated as in the file */
	unsigned line;
	unsigned feature_score; /* 0xFF when there is none */
	const char *service;	/* AddService with SPSVCINST_ASSOCSERVICE, or NULL */
	unsigned service_start; /* StartType, 3 when there is none */
	size_t n_includes;
	const char *const *includes; /* INFs named by Include= in any of its sections */
	bool copies_files;	     /* has CopyFiles that name anything */
	bool outside_store;	     /* a file goes elsewhere than DIRID 13 */
	bool absolute_addreg;	     /* AddReg to HKLM/HKCR/HKU (any section of the install) */
	bool coinstallers;	     /* .CoInstallers */
};
/*
 * The DDInstall section for a models line: NT decorations by the documented order
 * (<section>.NTamd64, .NT, plain). Missing: IBB_E_CORRUPT with the models line. So are a circle of
 * Needs, and a CopyFiles, service or other section that the file lacks although no Include could
 * bring it. Result owned by inf and cached, so that 4 255 models lines with five sections cost five
 * evaluations.
 */
int ibb_inf_install(struct ibb_inf *inf, const struct ibb_inf_target *t, const char *section,
		    const struct ibb_inf_install **ret, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Every file the package must bring for the target: the union over the chosen models' install
 * sections (CopyFiles, their services, co-installers, Needs within this INF) of CopyFiles,
 * and every SourceDisksFiles[.arch] entry of the target's architecture; each once, in file order.
 * A source that goes to several places tells the first. Source and destination names are checked:
 * one that leaves the package or cannot be a Windows file name is IBB_E_CORRUPT. A models line
 * whose install section is missing adds nothing here; ibb_inf_install() is who refuses it.
 */
struct ibb_inf_files {
	size_t n;
	const struct ibb_inf_file *files;
};
int ibb_inf_files(struct ibb_inf *inf, const struct ibb_inf_target *t, struct ibb_inf_files *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;

/* CopyINF companions named by the chosen install sections; owned by inf. */
int ibb_inf_copyinf(struct ibb_inf *inf, const struct ibb_inf_target *t, size_t *ret_n,
		    const char *const **ret, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- registry directives ---- */

enum ibb_inf_reg_root { IBB_INF_HKR, IBB_INF_HKLM, IBB_INF_HKCR, IBB_INF_HKCU, IBB_INF_HKU };
enum ibb_inf_reg_op {
	IBB_INF_REG_SET,
	IBB_INF_REG_SET_IF_ABSENT, /* FLG_ADDREG_NOCLOBBER */
	IBB_INF_REG_APPEND,	   /* FLG_ADDREG_APPEND: strings to a REG_MULTI_SZ */
	IBB_INF_REG_KEY,	   /* FLG_ADDREG_KEYONLY: the key and no value */
	IBB_INF_REG_DELETE_VALUE,
	IBB_INF_REG_DELETE_KEY
};
/* One line of an AddReg or DelReg list. */
struct ibb_inf_reg {
	unsigned line;
	enum ibb_inf_reg_root root;
	enum ibb_inf_reg_op op;
	const char *subkey; /* '\' separators, "" for the root itself */
	const char *name;   /* "" is the default value */
	uint32_t type;	    /* of winnt.h */
	struct ibb_bytes data;
};
struct ibb_inf_regs {
	size_t n;
	const struct ibb_inf_reg *items; /* file order */
};
/*
 * Read the lines of a section that AddReg (DelReg) names. All or nothing: a flag, value type or
 * form whose meaning is not certain is IBB_E_UNSUPPORTED with its line, nonsense IBB_E_CORRUPT,
 * more than the registry takes IBB_E_LIMIT. Result owned by inf.
 */
int ibb_inf_addreg(struct ibb_inf *inf, const struct ibb_inf_section *s, struct ibb_inf_regs *ret,
		   struct ibb_error *err) IBB_MUST_CHECK;
int ibb_inf_delreg(struct ibb_inf *inf, const struct ibb_inf_section *s, struct ibb_inf_regs *ret,
		   struct ibb_error *err) IBB_MUST_CHECK;

/* ---- services ---- */

/* AddService = name, [flags], section, [event log section], [log], [source]. */
struct ibb_inf_add_service {
	unsigned line;
	const char *name;		     /* "" with the associated flag: the NULL driver */
	uint32_t flags;			     /* SPSVCINST_* */
	const char *section, *event_section; /* "" for none */
	const char *event_log, *event_name;  /* "System" and the service's name by default */
};
/* IBB_E_CORRUPT: flags that are no number, names that cannot be keys. */
int ibb_inf_add_service(const struct ibb_inf *inf, const struct ibb_inf_line *l,
			struct ibb_inf_add_service *ret, struct ibb_error *err) IBB_MUST_CHECK;

/* What a service-install section says, its AddReg and DelReg lines apart. */
struct ibb_inf_service {
	unsigned line;
	const struct ibb_inf_section *section;
	uint32_t type, start, error_control;
	int binary_dirid;
	const char *binary; /* below that directory, '\' separators */
	const char *group;  /* LoadOrderGroup, or NULL */
	const struct ibb_inf_line *display_name, *description; /* or NULL */
	bool has_boot_flags;
	uint32_t boot_flags;
	size_t n_depends;
	const char *const *depends;
};
/* IBB_E_UNSUPPORTED naming a directive that is not understood; IBB_E_CORRUPT: one missing, given
 * twice or no number. */
int ibb_inf_service(struct ibb_inf *inf, const struct ibb_inf_section *s,
		    struct ibb_inf_service *ret, struct ibb_error *err) IBB_MUST_CHECK;

#endif
