# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(unpack
	SOURCES unpack/cfb.c unpack/installshield.c unpack/msi.c unpack/msi_cab.c unpack/msi_names.c
		unpack/msi_plan.c unpack/msi_tables.c
	USES base
	LIBS PkgConfig::ZLIB)
