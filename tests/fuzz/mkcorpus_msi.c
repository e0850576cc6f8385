/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Seeds of msi: both versions of compound files, both forms of InstallShield's payload. */
#include "mkcorpus.h"

#include <stdlib.h>

#include "fuzz.h"
#include "mkcab.h"
#include "mkmsi.h"

static void put(const char *name, uint8_t kind, struct ibb_buf *b)
{
	struct ibb_buf out = {0};

	FUZZ_CHECK(!ibb_buf_append(&out, &kind, 1) && !ibb_buf_append(&out, b->data, b->len),
		   "out of memory");
	mkcorpus_write("msi", name, out.data, out.len);
	ibb_buf_clear(&out);
	ibb_buf_clear(b);
}

static struct ibb_buf make(unsigned version, bool long_refs, int words, enum mkcab_method method)
{
	static uint8_t driver[5000];
	static const struct mkcab_file members[] = {{"fInf", "[Version]", 0},
						    {"fSys", driver, sizeof(driver)}};
	static const struct mkmsi_file files[] = {
		{"fInf", "cMain", "X~1.INF|x.inf", 9, 512, 1},
		{"fSys", "cMain", "driver.sys", sizeof(driver), 512, 2}};
	static const struct mkmsi_component components[] = {{"cMain", "dAcme", NULL, NULL}};
	static const struct mkmsi_dir dirs[] = {
		{"TARGETDIR", NULL, "SourceDir"},
		{"ProgramFilesFolder", "TARGETDIR", ".:PROGRA~1|program files"},
		{"dAcme", "ProgramFilesFolder", "ACME~1|Acme Drivers:src"}};
	static const struct mkmsi_medium media[] = {{1, 2, "#c.cab"}};
	struct ibb_buf cab = mkcab(members, 2, method), out;
	const struct mkcfb_stream stream = {"c.cab", cab.data, cab.len};

	out = mkmsi(&(struct mkmsi){.files = files,
				    .components = components,
				    .dirs = dirs,
				    .media = media,
				    .streams = &stream,
				    .n_files = 2,
				    .n_components = 1,
				    .n_dirs = 3,
				    .n_media = 1,
				    .n_streams = 1,
				    .version = version,
				    .long_refs = long_refs,
				    .words = words},
		    NULL);
	ibb_buf_clear(&cab);
	return out;
}

void mkcorpus_msi(void)
{
	static const struct mkis_file f[] = {{"Setup.INI", "[Startup]", 9, 6, true},
					     {"sub\\a.bin", "content", 7, 2, false}};
	struct ibb_buf b = make(3, false, 2, MKCAB_STORED);

	put("v3", 0, &b);
	b = make(3, true, 2, MKCAB_MSZIP);
	put("v3-long", 0, &b);
	b = make(4, false, -1, MKCAB_MSZIP);
	put("v4", 0, &b);
	b = make(3, false, 0, MKCAB_STORED);
	put("uncompressed", 0, &b);
	b = mkis(MKIS_OLD, f, 2);
	put("installshield", 1, &b);
	b = mkis(MKIS_STREAM, f, 2);
	put("stream", 1, &b);
	b = mkis(MKIS_STREAM_4, f, 2);
	put("stream4", 1, &b);
}
