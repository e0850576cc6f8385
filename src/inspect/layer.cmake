# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(inspect
	SOURCES inspect/azure.c inspect/boot.c inspect/consistency.c inspect/facts.c inspect/guest.c inspect/hives.c inspect/store.c inspect/usage.c inspect/windows.c inspect/winsock.c
	USES base disk hive inf authenticode volume driver)
