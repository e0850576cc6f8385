# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(unpack
	SOURCES unpack/archives.c unpack/cfb.c unpack/detect.c unpack/gzip.c unpack/installshield.c
		unpack/msi.c unpack/msi_cab.c unpack/msi_names.c unpack/msi_plan.c
		unpack/msi_tables.c unpack/msi_variants.c unpack/source.c unpack/tree.c
		unpack/unpack.c
	USES base
	LIBS PkgConfig::ZLIB)
