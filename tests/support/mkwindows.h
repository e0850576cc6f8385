/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Filling a volume with what makes it a Windows installation. */
#ifndef IBB_TEST_MKWINDOWS_H
#define IBB_TEST_MKWINDOWS_H

#include "mklog.h"
#include "volume/volume.h"
#include "winhives.h"

struct mkwindows {
	struct winhives_spec hives;
	const char *system_hive, *drivers_hive; /* host files used instead of generated ones */
	const char *system_logs[2];		/* alike */
	unsigned logged; /* MKLOG_NEW, MKLOG_OLD: what was last written is only in the logs */
	bool txr;
	bool no_windows; /* an ordinary data volume */
	bool boot_files; /* of a BIOS start: bootmgr, Boot\BCD */
	bool no_drivers_hive;
	bool pending_xml, extension_plugin, vss, usn, hibernated, dirty_hive, dirty_volume;
	const char *wof[4]; /* files of the volume that are WOF-compressed, up to the first NULL */
	const char *links[4][2]; /* a file, a further name of it; up to the first NULL */
	const char *winre;	 /* a host file that is Winre.wim; with no_windows as on a recovery
				    partition */
	bool odd;		 /* ntfsprep_odd() */
	int stale_logs;		 /* log entries this far above the hive's sequence number */
	unsigned fill_mib;	 /* data files of that size in all */
	bool tiny;		 /* fill the volume until almost nothing is free */
	unsigned stale_pnf;	 /* an INF\oemN.PNF left behind, 0: none */
	uint64_t seed;
};

/*
 * Populate a freshly formatted NTFS volume, an open file of its own. Every time stamp is the
 * specification's, so that the same specification gives the same bytes.
 */
int mkwindows(int fd, uint64_t size, uint32_t sector, const struct mkwindows *w,
	      struct ibb_error *err) IBB_MUST_CHECK;

#endif
