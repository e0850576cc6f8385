/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes a small signed driver package into a host directory: INF, driver image, security catalog.
 * It is what tests and the demonstration bake when no real package is at hand. The same options
 * always give the same bytes.
 */
#ifndef IBB_TEST_MKPKG_H
#define IBB_TEST_MKPKG_H

#include "base/buf.h"

#define MKPKG_PROVIDER "ibbake demonstration"

enum mkpkg_class { MKPKG_NET, MKPKG_SYSTEM, MKPKG_SCSI };

struct mkpkg_opts {
	const char *key_dir;	/* see mkcat.h */
	const char *inf_name;	/* NULL: "ibbdemo.inf"; the catalog is called the same */
	const char *date;	/* DriverVer, MM/DD/YYYY; NULL: 04/16/2026 */
	const char *version;	/* DriverVer; NULL: 1.0.0.0 */
	const char *provider;	/* NULL: MKPKG_PROVIDER */
	const char *service;	/* and name of the .sys; NULL: "ibbdemo" */
	const char *const *ids; /* hardware IDs to serve instead of the default ones */
	size_t n_ids;
	bool bare_only;	  /* only PCI\VEN_15B3&DEV_xxxx, which a size's function must not need */
	bool utf16;	  /* UTF-16LE with byte order mark instead of ANSI */
	const char *omit; /* this file is not written, though the INF asks for it */
	size_t pad_bytes; /* behind the driver image, as an overlay */
	bool noise;	  /* they are not zeros, but anything, by the service's name */
	bool no_catalog;  /* no CatalogFile, no catalog */
	const char *feature_score; /* FeatureScore of all install sections, or NULL */
	const char *copy_inf;	   /* CopyINF of all install sections, or NULL */
	const char *eku;	   /* a further extended key usage of the signer, or NULL */
	/* The service starts at boot, and has parameters and an event source; nothing is included.
	 */
	bool boot_start;
	enum mkpkg_class class;
};

/* The directory is made when it does not exist; files of the same names are replaced. */
int mkpkg_write(const char *dir, const struct mkpkg_opts *o, struct ibb_error *err) IBB_MUST_CHECK;

/* Only the INF's bytes. */
int mkpkg_inf(const struct mkpkg_opts *o, struct ibb_buf *ret,
	      struct ibb_error *err) IBB_MUST_CHECK;

#endif
