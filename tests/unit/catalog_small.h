/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A small driver catalog, in which every way a rule can win has its case. ' stands for ". */
#ifndef IBB_TEST_CATALOG_SMALL_H
#define IBB_TEST_CATALOG_SMALL_H

#define SMALL_SOURCES                                                                    \
	"'sources': ["                                                                   \
	"{'id': 'old', 'title': 'Old page', 'locator': 'old.md', 'date': '2020'},"       \
	"{'id': 'new', 'title': 'New page', 'locator': 'new.md', 'date': '2024-05-31'}," \
	"{'id': 'undated', 'title': 'Undated page', 'locator': 'u.md', 'date': null}],"

#define SMALL_WINDOWS                                                                      \
	"'windows': ["                                                                     \
	"{'id': 'server2012r2', 'name': 'Windows Server 2012 R2', 'major': 6, 'minor': 3," \
	" 'build': 9600, 'product': 'server', 'aliases': ['2012r2']},"                     \
	"{'id': 'server2019', 'name': 'Windows Server 2019', 'major': 10, 'minor': 0,"     \
	" 'build': 17763, 'product': 'server', 'aliases': ['2019']},"                      \
	"{'id': 'server2022', 'name': 'Windows Server 2022', 'major': 10, 'minor': 0,"     \
	" 'build': 20348, 'product': 'server', 'aliases': ['2022', '2k22']},"              \
	"{'id': 'win10-1809', 'name': 'Windows 10 1809', 'major': 10, 'minor': 0,"         \
	" 'build': 17763, 'product': 'client', 'aliases': []},"                            \
	"{'id': 'win10-22h2', 'name': 'Windows 10 22H2', 'major': 10, 'minor': 0,"         \
	" 'build': 19045, 'product': 'client', 'aliases': []}],"

#define SMALL_DRIVERS                                                                      \
	"'driver_sets': ["                                                                 \
	"{'id': 'drv', 'name': 'The driver', 'service': 'drv5', 'inf': 'drv5.inf',"        \
	" 'what': 'It drives.', 'confidence': 'A', 'source': 'new'},"                      \
	"{'id': 'nd', 'name': 'Lost driver', 'service': null, 'inf': null,"                \
	" 'what': 'Lost.', 'fetch_note': 'never published', 'confidence': 'B',"            \
	" 'source': 'old'}],"                                                              \
	"'nics': ["                                                                        \
	"{'id': 'N1', 'name': 'Nic 1', 'pf': ['15B3:0001'], 'vf': '15B3:0002',"            \
	" 'driver_set': 'drv', 'confidence': 'A', 'source': 'new'},"                       \
	"{'id': 'N2', 'name': 'Nic 2', 'pf': [], 'vf': null, 'driver_set': 'drv',"         \
	" 'confidence': 'B', 'source': 'new', 'note': 'rare'}],"                           \
	"'functions': ["                                                                   \
	"{'id': 'f1', 'description': 'VF 1', 'hardware_ids':"                              \
	" ['PCI\\\\VEN_15B3&DEV_0002&SUBSYS_000715B3&REV_00',"                             \
	" 'PCI\\\\VEN_15B3&DEV_0002&REV_00'], 'bare_ids': ['PCI\\\\VEN_15B3&DEV_0002'],"   \
	" 'an_ids': ['PCI\\\\VEN_15B3&DEV_0002&REV_80'], 'confidence': 'A',"               \
	" 'source': 'new'},"                                                               \
	"{'id': 'fnd', 'description': 'ND', 'hardware_ids': ['VMBUS\\\\{1}'],"             \
	" 'bare_ids': [], 'an_ids': [], 'caveat': 'the spelling is a guess',"              \
	" 'confidence': 'C', 'source': 'old'}],"                                           \
	"'releases': ["                                                                    \
	"{'id': 'r1', 'driver_set': 'drv', 'version': '1.2.3', 'driver_version': null,"    \
	" 'date': '2024-05', 'lts': true, 'package': 'drv.exe', 'package_name': 'seen',"   \
	" 'url': 'https://download.example/drv.exe', 'sha256':"                            \
	" '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',"             \
	" 'sha256_basis': 'vendor',"                                                       \
	" 'windows': ['server2019', 'server2022'], 'windows_basis': 'table',"              \
	" 'confidence': 'A',"                                                              \
	" 'source': 'new'},"                                                               \
	"{'id': 'r0', 'driver_set': 'drv', 'version': '1.0', 'driver_version': '1.0.0',"   \
	" 'date': null, 'lts': false, 'package': null, 'package_name': 'pattern',"         \
	" 'url': null, 'sha256': null, 'windows': null, 'windows_basis': 'unknown',"       \
	" 'confidence': 'C', 'source': 'old'}],"                                           \
	"'recommendations': ["                                                             \
	"{'id': 'rec1', 'driver_set': 'drv', 'windows': {'product': 'server', 'from':"     \
	" 'server2019'}, 'release': 'r1', 'reason': 'Newest.', 'confidence': 'A',"         \
	" 'source': 'new'},"                                                               \
	"{'id': 'rec0', 'driver_set': 'drv', 'windows': {'product': 'client'}, 'release':" \
	" 'r0', 'reason': 'Last for clients.', 'confidence': 'B', 'source': 'old'}],"

#define SMALL_SIZES                                                                     \
	"'series': ["                                                                   \
	"{'id': 'S1', 'family': 'F', 'arch': 'x64', 'nic': 'N1', 'rate': 'HDR',"        \
	" 'gbps_per_port': 200, 'ports': 1, 'sriov': true, 'driver_set': 'drv',"        \
	" 'function': 'f1', 'function_confidence': 'A', 'generations': [1, 2],"         \
	" 'status': 'current', 'retire_date': null, 'confidence': 'A',"                 \
	" 'sources': ['new', 'old']},"                                                  \
	"{'id': 'S2', 'family': 'F', 'arch': 'x64', 'nic': 'N2', 'rate': 'NDR',"        \
	" 'gbps_per_port': 400, 'ports': 4, 'sriov': true, 'driver_set': 'drv',"        \
	" 'function': 'f1', 'function_confidence': 'C', 'generations': [2],"            \
	" 'status': 'retiring', 'retire_date': '2027-05-31', 'confidence': 'A',"        \
	" 'sources': ['new']},"                                                         \
	"{'id': 'SN', 'family': 'G', 'arch': 'x64', 'nic': 'N2', 'rate': null,"         \
	" 'gbps_per_port': null, 'ports': null, 'sriov': false, 'driver_set': 'nd',"    \
	" 'function': 'fnd', 'function_confidence': 'C', 'generations': [],"            \
	" 'status': 'retired', 'retire_date': '2021-03-01', 'confidence': 'C',"         \
	" 'sources': ['old'], 'note': 'gone'},"                                         \
	"{'id': 'SA', 'family': 'H', 'arch': 'arm64', 'nic': 'N1', 'rate': 'XDR',"      \
	" 'gbps_per_port': 800, 'ports': 4, 'sriov': true, 'driver_set': 'drv',"        \
	" 'function': null, 'function_confidence': null, 'generations': [2],"           \
	" 'status': 'preview-or-internal', 'retire_date': null, 'confidence': 'B',"     \
	" 'sources': ['new']}],"                                                        \
	"'sizes': ["                                                                    \
	"{'name': 'Standard_X60rs_v3', 'series': 'S1'},"                                \
	"{'name': 'Standard_X60-30rs_v3', 'series': 'S1', 'constrained_of':"            \
	" 'Standard_X60rs_v3', 'note': 'half', 'confidence': 'B', 'sources': ['old']}," \
	"{'name': 'Standard_X80rs_v3', 'series': 'S1'},"                                \
	"{'name': 'Standard_Y9r', 'series': 'S2'},"                                     \
	"{'name': 'Standard_Z7r', 'series': 'SN'},"                                     \
	"{'name': 'Standard_Armr', 'series': 'SA'}],"                                   \
	"'not_rdma': [{'name': 'Standard_X60s', 'reason': 'no r in its name',"          \
	" 'confidence': 'A', 'source': 'new'}],"                                        \
	"'misprints': [{'name': 'Standard_X60rs_v4', 'size': 'Standard_X60rs_v3',"      \
	" 'source': 'old'}],"

#define SMALL_RULES                                                                        \
	"'rules': ["                                                                       \
	"{'id': 'all', 'state': 'unsupported', 'reason': 'Nobody speaks.',"                \
	" 'confidence': 'C', 'source': 'new'},"                                            \
	"{'id': 'x86', 'windows': {'arch': 'x86'}, 'state': 'impossible',"                 \
	" 'reason': '32 bit.', 'confidence': 'A', 'source': 'new'},"                       \
	"{'id': 'arm', 'series': ['SA'], 'state': 'impossible', 'reason': 'Arm64.',"       \
	" 'confidence': 'A', 'source': 'new'},"                                            \
	"{'id': 'arm-vendor', 'sizes': ['Standard_Armr'], 'windows': {'only':"             \
	" 'server2022'}, 'state': 'validated', 'reason': 'Tested.', 'confidence': 'A',"    \
	" 'source': 'new'},"                                                               \
	"{'id': 'size', 'sizes': ['Standard_X80rs_v3'], 'state': 'unsupported',"           \
	" 'reason': 'Not this one.', 'confidence': 'A', 'source': 'undated'},"             \
	"{'id': 'series', 'series': ['S1'], 'windows': {'product': 'server', 'from':"      \
	" 'server2019'}, 'state': 'validated', 'reason': 'Series page.',"                  \
	" 'confidence': 'A', 'source': 'undated'},"                                        \
	"{'id': 'series-wide', 'series': ['S1'], 'windows': {'from': 'server2019'},"       \
	" 'state': 'allowed', 'reason': 'Both products.', 'confidence': 'A',"              \
	" 'source': 'new'},"                                                               \
	"{'id': 'nic', 'nics': ['N1', 'N2'], 'windows': {'product': 'client'},"            \
	" 'state': 'allowed', 'reason': 'NIC table.', 'confidence': 'B',"                  \
	" 'source': 'new'},"                                                               \
	"{'id': 'family', 'families': ['F'], 'state': 'allowed', 'reason': 'Family.',"     \
	" 'confidence': 'C', 'source': 'new'},"                                            \
	"{'id': 'set-old', 'driver_sets': ['nd'], 'windows': {'before': 'server2019'},"    \
	" 'state': 'allowed', 'reason': 'Old table.', 'confidence': 'A',"                  \
	" 'source': 'old'},"                                                               \
	"{'id': 'set-undated', 'driver_sets': ['nd'], 'windows': {'before':"               \
	" 'server2019'}, 'state': 'unsupported', 'reason': 'Undated.', 'confidence': 'A'," \
	" 'source': 'undated'},"                                                           \
	"{'id': 'set-old-2', 'driver_sets': ['nd'], 'windows': {'before':"                 \
	" 'server2019'}, 'state': 'unsupported', 'reason': 'Second.', 'confidence': 'A',"  \
	" 'source': 'old'}],"

#define SMALL_CATALOG                                                                              \
	"{'$schema': 'x.json', 'format': 1, 'title': 'Small', 'as_of': '2026-11-20',"              \
	"'confidences': {'A': 'a', 'B': 'b', 'C': 'c'}," SMALL_SOURCES SMALL_WINDOWS SMALL_DRIVERS \
		SMALL_SIZES SMALL_RULES                                                            \
	"'facts': [{'id': 'fact', 'says': 'Water is wet.', 'confidence': 'A',"                     \
	" 'source': 'new'}],"                                                                      \
	"'local': ["                                                                               \
	"{'driver_set': 'nd', 'path': '/srv/nd', 'sha256': null},"                                 \
	"{'driver_set': 'drv', 'path': '/srv/drv.exe', 'sha256':"                                  \
	" 'FF112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'}]}"

#endif
