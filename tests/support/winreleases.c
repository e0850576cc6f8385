/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Windows releases as their registries name them. Traps kept on purpose: CurrentVersion says 6.3
 * from 8.1 on, ReleaseId stays 2009 after 20H2, and Windows 11 calls itself "Windows 10 Pro".
 */
#include "winhives.h"

#include <string.h>

#define CLIENT	     "WinNT", "Windows 10 Pro", "Professional", "Client"
#define SERVER(name) "ServerNT", name " Datacenter", "ServerDatacenter", "Server"

static const struct win_release releases[] = {
	{"win7", 6, 1, 7601, 24214, "WinNT", "Windows 7 Professional", "Professional", "Client",
	 NULL, NULL},
	{"server2012", 6, 2, 9200, 24768, SERVER("Windows Server 2012"), NULL, NULL},
	{"win8.1", 6, 3, 9600, 20671, "WinNT", "Windows 8.1 Pro", "Professional", "Client", NULL,
	 NULL},
	{"server2012r2", 6, 3, 9600, 20671, SERVER("Windows Server 2012 R2"), NULL, NULL},
	{"server2016", 10, 0, 14393, 5582, SERVER("Windows Server 2016"), "1607", NULL},
	{"server2019", 10, 0, 17763, 4010, SERVER("Windows Server 2019"), "1809", NULL},
	{"server2022", 10, 0, 20348, 1547, SERVER("Windows Server 2022"), "2009", "21H2"},
	{"server2025", 10, 0, 26100, 1742, SERVER("Windows Server 2025"), "2009", "24H2"},
	{"win10-1607", 10, 0, 14393, 5582, CLIENT, "1607", NULL},
	{"win10-1809", 10, 0, 17763, 4010, CLIENT, "1809", NULL},
	{"win10-19041", 10, 0, 19041, 1415, CLIENT, "2004", NULL},
	{"win10-19045", 10, 0, 19045, 2965, CLIENT, "2009", "22H2"},
	{"win11-22000", 10, 0, 22000, 1936, CLIENT, "2009", "21H2"},
	{"win11-22621", 10, 0, 22621, 1702, CLIENT, "2009", "22H2"},
	{"win11-22631", 10, 0, 22631, 2861, CLIENT, "2009", "23H2"},
	{"win11-26100", 10, 0, 26100, 1742, CLIENT, "2009", "24H2"},
	/* what boot.wim holds, both of its images */
	{"winpe-20348", 10, 0, 20348, 1547, "WinNT", "Windows Server 2022 Datacenter", "WindowsPE",
	 "WindowsPE", "2009", "21H2"},
};

const struct win_release *win_release_find(const char *id)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(releases); i++)
		if (strcmp(releases[i].id, id) == 0)
			return &releases[i];
	return NULL;
}

const char *win_release_ids(void)
{
	static char text[512];

	if (!text[0])
		for (size_t i = 0; i < IBB_ARRAY_SIZE(releases); i++) {
			strncat(text, i ? " " : "", sizeof(text) - strlen(text) - 1);
			strncat(text, releases[i].id, sizeof(text) - strlen(text) - 1);
		}
	return text;
}

#define CLASS_SYSTEM "{4d36e97d-e325-11ce-bfc1-08002be10318}"
#define CLASS_SCSI   "{4d36e97b-e325-11ce-bfc1-08002be10318}"
#define CLASS_NET    "{4d36e972-e325-11ce-bfc1-08002be10318}"

const struct win_inbox win_inbox[] = {
	{"pci.inf",
	 "66614bed5c0a20d8",
	 CLASS_SYSTEM,
	 "SYSTEM",
	 2006,
	 6,
	 21,
	 {10, 0, 1, 0},
	 0x12,
	 "pci.sys",
	 {"PCI\\CC_0604", "*PNP0A08"}},
	{"machine.inf",
	 "0a9ec1c4a3b77d9e",
	 CLASS_SYSTEM,
	 "SYSTEM",
	 2006,
	 6,
	 21,
	 {10, 0, 1, 0},
	 0,
	 NULL,
	 {"*PNP0C08", "ROOT\\ACPI_HAL"}},
	{"stornvme.inf",
	 "1c8b2d2f95ee3f01",
	 CLASS_SCSI,
	 "SYSTEM",
	 2006,
	 6,
	 21,
	 {10, 0, 1, 0},
	 0x12,
	 "stornvme.sys",
	 {"PCI\\CC_010802"}},
	{"mlx4_bus.inf",
	 "dfb8575c5904427b",
	 CLASS_SYSTEM,
	 "SYSTEM",
	 2018,
	 4,
	 25,
	 {5, 50, 14643, 0},
	 0x116,
	 "mlx4_bus.sys",
	 {"PCI\\VEN_15B3&DEV_1003", "PCI\\VEN_15B3&DEV_1004", "PCI\\VEN_15B3&DEV_1007"}},
	{"netmlx5.inf",
	 "101a408e6cb1d8f8",
	 CLASS_NET,
	 "DRIVERS",
	 2018,
	 5,
	 6,
	 {1, 90, 19240, 0},
	 0x112,
	 "mlx5.sys",
	 {"PCI\\VEN_15B3&DEV_1013", "PCI\\VEN_15B3&DEV_1015", "PCI\\VEN_15B3&DEV_1017"}},
	{"wnetvsc.inf",
	 "86f2f8310179e55e",
	 CLASS_NET,
	 "DRIVERS",
	 2006,
	 6,
	 21,
	 {10, 0, 1, 0},
	 0x12,
	 "netvsc.sys",
	 {"VMBUS\\{f8615163-df3e-46c5-913f-f2d2f965ed0e}"}},
};
const size_t win_inbox_n = IBB_ARRAY_SIZE(win_inbox);
