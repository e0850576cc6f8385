# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(manifest
	SOURCES manifest/manifest.c manifest/verify.c manifest/wim.c
	USES base disk hive inf authenticode catalog volume driver inspect plan apply)
