/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The SYSTEM, SOFTWARE and DRIVERS hives of a Windows that never was: every key that ibbake reads
 * to know an image, in the form that real hives have.
 */
#ifndef IBB_TEST_WINHIVES_H
#define IBB_TEST_WINHIVES_H

#include "base/buf.h"

struct win_release {
	const char *id; /* "server2022" */
	unsigned major, minor, build, ubr;
	const char *product_type;      /* WinNT, ServerNT */
	const char *product_name;      /* as CurrentVersion\ProductName has it */
	const char *edition;	       /* EditionID */
	const char *installation;      /* InstallationType */
	const char *release, *display; /* ReleaseId, DisplayVersion; NULL: not there */
};
/* NULL when unknown. */
const struct win_release *win_release_find(const char *id);
/* Text with all ids, for messages. */
const char *win_release_ids(void);

/* A driver package that came with Windows. */
struct win_inbox {
	const char *inf, *digits;      /* "pci.inf", the 16 digits of its package name */
	const char *class_guid, *node; /* node: SYSTEM or DRIVERS */
	int year, month, day;
	uint16_t version[4];
	uint32_t status_flags;
	const char *sys;    /* its driver file, or NULL */
	const char *ids[4]; /* hardware IDs of its models lines */
};
extern const struct win_inbox win_inbox[];
extern const size_t win_inbox_n;

enum win_state { WIN_SPECIALIZED, WIN_GENERALIZED, WIN_AUDIT, WIN_SETUP };

struct winhives_spec {
	const struct win_release *win;
	const char *arch; /* amd64, x86, arm64 */
	enum win_state state;
	unsigned control_set;	 /* Select\Current */
	bool no_driver_database; /* as before Windows 8 */
	bool reboot_pending;	 /* CBS */
	const char *winof2;	 /* version of an installed WinOF-2, or NULL */
	const unsigned *oem;	 /* oemN numbers marked as used */
	size_t n_oem;
	const char *const *pci; /* device instances: "PCI\VEN_...[=INF that drives it]" */
	size_t n_pci;
	const char *const *paging; /* lines of PagingFiles; none: not set */
	size_t n_paging;
	bool agent;    /* the services of the Azure virtual machine agent */
	uint64_t time; /* FILETIME */
};
int winhives_system(const struct winhives_spec *s, struct ibb_buf *ret,
		    struct ibb_error *err) IBB_MUST_CHECK;
int winhives_software(const struct winhives_spec *s, struct ibb_buf *ret,
		      struct ibb_error *err) IBB_MUST_CHECK;
int winhives_drivers(const struct winhives_spec *s, struct ibb_buf *ret,
		     struct ibb_error *err) IBB_MUST_CHECK;

/* A boot configuration store (Boot\BCD) without anything to boot. */
int winhives_bcd(uint64_t time, struct ibb_buf *ret, struct ibb_error *err) IBB_MUST_CHECK;
#define WINHIVES_AGENT_DIR "WindowsAzure/GuestAgent_2.7.41491.1183"

/* Raise the first sequence number, as an interrupted write leaves it. */
void winhives_make_dirty(struct ibb_buf *hive);

#endif
