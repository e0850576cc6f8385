/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Configurations of packages made of a text. Include after test.h. */
#ifndef IBB_TEST_CFGTEST_H
#define IBB_TEST_CFGTEST_H

#include "driver/configure.h"
#include "pkgtest.h"

/* [Version] of a storage controller's INF, [Manufacturer], models, sources: what all cases share.
 */
#define CFG_HEAD                                                               \
	"[Version]\nSignature=\"$Windows NT$\"\nClass=SCSIAdapter\n"           \
	"ClassGuid={4D36E97B-E325-11CE-BFC1-08002BE10318}\nProvider=%Maker%\n" \
	"DriverVer=06/06/2024,1.0.0.0\nPnpLockdown=1\n"                        \
	"[SourceDisksNames]\n1=disk\n[SourceDisksFiles]\ndisk.sys=1\n"         \
	"[DestinationDirs]\nDefaultDestDir=12\n"                               \
	"[Manufacturer]\n%Maker%=Models,NTamd64\n"                             \
	"[Strings]\nMaker=\"Maker Inc.\"\nDev=\"Controller\"\nSvc=\"Disk service\"\n"
#define CFG_MODELS "[Models.NTamd64]\n%Dev%=Inst,PCI\\VEN_1AF4&DEV_1004\n"
#define CFG_SERVICE                                                \
	"[Inst.Services]\nAddService=disk,2,Svc_Inst\n"            \
	"[Svc_Inst]\nServiceType=1\nStartType=0\nErrorControl=1\n" \
	"ServiceBinary=%12%\\disk.sys\n"
#define CFG_INST "[Inst]\nCopyFiles=Files\n[Files]\ndisk.sys\n"
#define CFG_ALL	 CFG_HEAD CFG_MODELS CFG_SERVICE CFG_INST

/* An INF of the target: name and text. */
struct cfg_inf {
	const char *name, *text;
	struct ibb_inf *inf;
};
struct cfg_bed {
	struct memdir dir;
	struct cfg_inf infs[8]; /* ends with a NULL name */
	struct ibb_inf_target target;
	struct ibb_package *p;
};

/* Load the text as disk.inf, with disk.sys beside it; fails the test. */
void cfg_load(struct cfg_bed *b, const char *text);
/* Configure it as oem7.inf; IBB_OK or the code, *err set. */
int cfg_build(struct cfg_bed *b, struct ibb_configuration **ret, struct ibb_error *err);
void cfg_free(struct cfg_bed *b);
/* Every value, one a line: "root op key : name = type data", keys without values without a name. */
void cfg_dump(const struct ibb_configuration *c, struct ibb_buf *out);
struct ibb_inf_provider cfg_provider(struct cfg_bed *b);

#endif
