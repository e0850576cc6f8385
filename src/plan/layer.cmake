# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(plan
	SOURCES plan/build.c plan/keysec.c plan/keyset.c plan/plan.c plan/rank.c plan/reflect.c plan/remove.c
		plan/report.c plan/select.c plan/stage.c plan/unreflect.c
	USES base disk hive inf authenticode catalog volume driver inspect)
