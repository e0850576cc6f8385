# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(driver
	SOURCES driver/catalogs.c driver/companions.c driver/configure.c driver/configure_data.c
		driver/configure_files.c driver/configure_ids.c driver/configure_record.c
		driver/configure_section.c driver/configure_service.c driver/inf_merge.c
		driver/match.c driver/package.c driver/store.c driver/trust.c driver/unpack.c
	USES base inf authenticode)
