# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(driver
	SOURCES driver/companions.c driver/match.c driver/package.c driver/store.c driver/unpack.c
	USES base inf authenticode)
