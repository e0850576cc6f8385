# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(apply
	SOURCES apply/apply.c apply/hives.c apply/registry.c
	USES base disk hive inf authenticode catalog volume driver inspect plan)
