/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A small MSI that the tests about MSIs change. */
#ifndef IBB_TEST_MSI_H
#define IBB_TEST_MSI_H

#include "mkcab.h"
#include "mkmsi.h"
#include "unpacktest.h"

#define SMALL_TREE                                                     \
	"ProgramFiles64Folder/\n"                                      \
	"ProgramFiles64Folder/Acme Drivers/\n"                         \
	"ProgramFiles64Folder/Acme Drivers/net/\n"                     \
	"ProgramFiles64Folder/Acme Drivers/net/driver.sys=MZ driver\n" \
	"ProgramFiles64Folder/Acme Drivers/read me.txt=hello\n"        \
	"ProgramFiles64Folder/Acme Drivers/x.inf=[Version]\n"

struct small_msi {
	struct mkmsi m;
	struct mkmsi_file files[8];
	struct mkmsi_component components[5];
	struct mkmsi_dir dirs[6];
	struct mkmsi_medium media[3];
	struct mkcfb_stream streams[3];
	struct ibb_buf cab;
};

/* Three files in one cabinet; what it is made of can be changed before small_build(). */
static inline void small_begin(struct small_msi *s, enum mkcab_method method)
{
	static const struct mkcab_file members[] = {
		{"fInf", "[Version]", 0}, {"fRead", "hello", 0}, {"fSys", "MZ driver", 0}};

	*s = (struct small_msi){
		.files = {{"fInf", "cMain", "X~1.INF|x.inf", 9, 512, 1},
			  {"fRead", "cMain", "README~1.TXT|read me.txt", 5, 512, 2},
			  {"fSys", "cNet", "driver.sys", 9, 512, 3}},
		.components = {{"cMain", "dAcme", NULL, NULL}, {"cNet", "dNet", NULL, NULL}},
		.dirs = {{"TARGETDIR", NULL, "SourceDir"},
			 {"ProgramFiles64Folder", "TARGETDIR", ".:PROGRA~1|program files"},
			 {"dSame", "ProgramFiles64Folder", "."},
			 {"dAcme", "dSame", "ACMEDR~1|Acme Drivers:source"},
			 {"dNet", "dAcme", "net"}},
		.media = {{1, 3, "#Data1.cab"}},
		.cab = mkcab(members, 3, method),
	};
	s->streams[0] = (struct mkcfb_stream){"Data1.cab", s->cab.data, s->cab.len};
	s->m = (struct mkmsi){.n_files = 3,
			      .n_components = 2,
			      .n_dirs = 5,
			      .n_media = 1,
			      .n_streams = 1,
			      .words = 2};
}

static inline struct ibb_buf small_build(struct small_msi *s, struct mkcfb *how)
{
	struct ibb_buf b;

	s->m.files = s->files;
	s->m.components = s->components;
	s->m.dirs = s->dirs;
	s->m.media = s->media;
	s->m.streams = s->streams;
	b = mkmsi(&s->m, how);
	ibb_buf_clear(&s->cab);
	return b;
}

#endif
