# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(driver
	SOURCES driver/match.c driver/package.c driver/store.c
	USES base inf authenticode)
