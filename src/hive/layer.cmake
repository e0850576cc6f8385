# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(hive
	SOURCES hive/before.c hive/cell.c hive/check.c hive/compare.c hive/edit.c hive/edit_key.c hive/header.c
		hive/list.c hive/list_edit.c hive/log.c hive/log_new.c hive/log_old.c hive/marvin.c
		hive/name.c hive/new.c hive/open.c hive/read.c hive/security.c hive/value.c
	USES base)
