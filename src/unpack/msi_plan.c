/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the tables to paths. Microsoft, "Directory Table", "File Table", "Media Table", "Component
 * Table", "Word Count Summary property".
 *
 * Where a file goes: below the root of the Directory table, which adds nothing, by the target names
 * (long ones) of its directories, as an administrative installation has it; but a folder of the
 * system ("ProgramFiles64Folder") has its property's name, at the top, because its DefaultDir says
 * nothing (".", "PFiles") and two of them may say the same.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/le.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"
#include "unpack/msi_internal.h"

#define ATTRIBUTE_NONCOMPRESSED 0x2000
#define ATTRIBUTE_COMPRESSED	0x4000
#define WORDS_SHORT_NAMES	1
#define WORDS_COMPRESSED	2
#define WORDS_ADMIN_IMAGE	4
#define NO_ROW			UINT32_MAX

/* Microsoft, "System Folder Properties". */
static const char *const folders[] = {
	"AdminToolsFolder",   "AppDataFolder",	      "CommonAppDataFolder", "CommonFiles64Folder",
	"CommonFilesFolder",  "DesktopFolder",	      "FavoritesFolder",     "FontsFolder",
	"LocalAppDataFolder", "MyPicturesFolder",     "NetHoodFolder",	     "PersonalFolder",
	"PrintHoodFolder",    "ProgramFiles64Folder", "ProgramFilesFolder",  "ProgramMenuFolder",
	"RecentFolder",	      "SendToFolder",	      "StartMenuFolder",     "StartupFolder",
	"System16Folder",     "System64Folder",	      "SystemFolder",	     "TempFolder",
	"TemplateFolder",     "WindowsFolder",	      "WindowsVolume",	     "ROOTDRIVE",
};

struct planning {
	const struct msi_db *db;
	struct msi_plan *p;
	struct ibb_error *err;
	struct msi_table file, component, directory, media;
	unsigned f_key, f_component, f_name, f_size, f_attributes, f_sequence;
	unsigned c_directory, d_parent, d_default;
	uint32_t *component_row, *directory_row; /* by the number of the key */
	int32_t words;
	uint64_t path_bytes;
};

static void planning_clear(struct planning *g)
{
	msi_table_clear(&g->file);
	msi_table_clear(&g->component);
	msi_table_clear(&g->directory);
	msi_table_clear(&g->media);
	free(g->component_row);
	free(g->directory_row);
}

/* A key for a message. */
static const char *show(const struct planning *g, uint32_t string, char out[80])
{
	struct ibb_bytes b = msi_string(g->db, string);

	snprintf(out, 80, "%.*s", (int)ibb_min_u64(b.len, 72), (const char *)b.data);
	for (char *c = out; *c; c++)
		if ((uint8_t)*c < 0x20 || (uint8_t)*c >= 0x7f)
			*c = '?';
	return out;
}

/* ---- tables ---- */

/* Which row has a key; keys are the same string wherever they stand. */
static int index_rows(struct planning *g, const struct msi_table *t, unsigned column,
		      uint32_t **ret)
{
	uint32_t *rows = ibb_calloc_array(g->db->n_strings, sizeof(*rows));
	char key[80];
	int rc = IBB_OK;

	if (!rows)
		return ibb_err_nomem(g->err);
	*ret = rows;
	memset(rows, 0xff, g->db->n_strings * sizeof(*rows));
	for (uint32_t i = 0; i < t->n_rows; i++) {
		uint32_t k;

		rc = msi_str(g->db, t, i, column, &k, g->err);
		if (rc)
			return rc;
		if (!k || rows[k] != NO_ROW)
			return ibb_err(g->err, IBB_E_CORRUPT,
				       "%s: damaged MSI: table %s: the key '%s' stands twice or is "
				       "none",
				       g->db->name, t->name, show(g, k, key));
		rows[k] = i;
	}
	return rc;
}

static int load_files(struct planning *g)
{
	static const struct {
		const char *name;
		bool string;
	} want[] = {{"File", true},	 {"Component_", true},	{"FileName", true},
		    {"FileSize", false}, {"Attributes", false}, {"Sequence", false}};
	unsigned *const to[] = {&g->f_key,  &g->f_component,  &g->f_name,
				&g->f_size, &g->f_attributes, &g->f_sequence};
	int rc = msi_load(g->db, "File", &g->file, g->err);

	for (size_t i = 0; !rc && i < IBB_ARRAY_SIZE(want); i++)
		rc = msi_column(g->db, &g->file, want[i].name, want[i].string, to[i], g->err);
	return rc;
}

static int load_directories(struct planning *g)
{
	const struct msi_db *db = g->db;
	unsigned c_key = 0, d_key = 0;
	int rc = msi_load(db, "Component", &g->component, g->err);

	if (!rc)
		rc = msi_load(db, "Directory", &g->directory, g->err);
	if (!rc)
		rc = msi_column(db, &g->component, "Component", true, &c_key, g->err);
	if (!rc)
		rc = msi_column(db, &g->component, "Directory_", true, &g->c_directory, g->err);
	if (!rc)
		rc = msi_column(db, &g->directory, "Directory", true, &d_key, g->err);
	if (!rc)
		rc = msi_column(db, &g->directory, "Directory_Parent", true, &g->d_parent, g->err);
	if (!rc)
		rc = msi_column(db, &g->directory, "DefaultDir", true, &g->d_default, g->err);
	if (!rc)
		rc = index_rows(g, &g->component, c_key, &g->component_row);
	if (!rc)
		rc = index_rows(g, &g->directory, d_key, &g->directory_row);
	return rc;
}

static int by_last(const void *a, const void *b)
{
	const struct msi_medium *x = a, *y = b;

	return (x->last > y->last) - (x->last < y->last);
}

static int load_media(struct planning *g)
{
	const struct msi_db *db = g->db;
	unsigned disk = 0, last = 0, cabinet = 0;
	int rc = msi_load(db, "Media", &g->media, g->err);

	if (!rc)
		rc = msi_column(db, &g->media, "DiskId", false, &disk, g->err);
	if (!rc)
		rc = msi_column(db, &g->media, "LastSequence", false, &last, g->err);
	if (!rc)
		rc = msi_column(db, &g->media, "Cabinet", true, &cabinet, g->err);
	if (rc)
		return rc;
	g->p->media = ibb_calloc_array(g->media.n_rows, sizeof(*g->p->media));
	if (!g->p->media)
		return ibb_err_nomem(g->err);
	for (uint32_t i = 0; !rc && i < g->media.n_rows; i++) {
		struct msi_medium *m = &g->p->media[g->p->n_media++];
		struct ibb_bytes b;
		uint32_t name;

		msi_int(&g->media, i, disk, &m->disk);
		msi_int(&g->media, i, last, &m->last);
		rc = msi_str(db, &g->media, i, cabinet, &name, g->err);
		if (rc || !name)
			continue;
		b = msi_string(db, name);
		rc = msi_text(db->name, db->code_page, (const char *)b.data, b.len, &m->cabinet,
			      g->err);
	}
	if (!rc && g->p->n_media > 1)
		qsort(g->p->media, g->p->n_media, sizeof(*g->p->media), by_last);
	return rc;
}

/* ---- the word count, of the property set of the summary ([MS-OLEPS] 2.20, 2.21) ---- */

static bool find_words(const struct ibb_buf *b, int32_t *ret)
{
	uint64_t set;
	uint32_t n;

	if (b->len < 48 || ibb_get_le16(b->data) != 0xfffe || !ibb_get_le32(b->data + 24))
		return false;
	set = ibb_get_le32(b->data + 44);
	if (!ibb_in_range(set, 8, b->len))
		return false;
	n = ibb_get_le32(b->data + set + 4);
	for (uint64_t i = 0; i < n && ibb_in_range(set + 8 + 8 * i, 8, b->len); i++) {
		const uint8_t *e = b->data + set + 8 + 8 * i;
		uint64_t at = set + ibb_get_le32(e + 4);

		if (ibb_get_le32(e) != 15 || !ibb_in_range(at, 8, b->len) ||
		    ibb_get_le16(b->data + at) != 3)
			continue;
		*ret = (int32_t)ibb_get_le32(b->data + at + 4);
		return true;
	}
	return false;
}

static int load_words(struct planning *g)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	bool oom = false;
	const struct cfb_stream *s = msi_find_stream(&g->db->c, "\005SummaryInformation", &oom);
	int rc = IBB_OK;

	if (oom)
		return ibb_err_nomem(g->err);
	if (s)
		rc = cfb_load(&g->db->c, s, "SummaryInformation", IBB_LIMIT_MSI_TABLE, &b, g->err);
	/* Without a summary: in the cabinets, where there are any. */
	if (!rc && !find_words(&b, &g->words))
		g->words = WORDS_COMPRESSED;
	return rc;
}

/* ---- names ---- */

/* Of "short|long" the one that is wanted, of "target:source" the half. */
static struct ibb_bytes pick_name(struct ibb_bytes b, bool directory, bool source, bool is_short)
{
	const uint8_t *sep = directory ? memchr(b.data, ':', b.len) : NULL;

	if (sep && source)
		b = (struct ibb_bytes){sep + 1, b.len - (size_t)(sep - b.data) - 1};
	else if (sep)
		b.len = (size_t)(sep - b.data);
	sep = memchr(b.data, '|', b.len);
	if (sep && is_short)
		b.len = (size_t)(sep - b.data);
	else if (sep)
		b = (struct ibb_bytes){sep + 1, b.len - (size_t)(sep - b.data) - 1};
	return b;
}

static int append_name(struct planning *g, struct ibb_buf *path, struct ibb_bytes name)
{
	IBB_AUTO_FREE char *text = NULL;
	const char *why;
	int rc = msi_text(g->db->name, g->db->code_page, (const char *)name.data, name.len, &text,
			  g->err);

	if (rc)
		return rc;
	why = ibb_name_problem(text, strlen(text));
	if (why)
		return ibb_err(g->err, IBB_E_UNSUPPORTED, "%s: the name '%.200s': %s", g->db->name,
			       ibb_utf8_is_plain(text, strlen(text)) ? text : "?", why);
	if (path->len + strlen(text) > IBB_LIMIT_PATH_CHARS)
		return ibb_err(g->err, IBB_E_LIMIT, "%s: a path of more than %u characters",
			       g->db->name, IBB_LIMIT_PATH_CHARS);
	if (ibb_buf_printf(path, "%s%s", path->len ? "/" : "", text))
		return ibb_err_nomem(g->err);
	return IBB_OK;
}

/* The property of a folder of the system; merge modules append ".GUID" to it. */
static const char *folder_of(struct ibb_bytes key)
{
	const uint8_t *dot = memchr(key.data, '.', key.len);
	size_t n = dot ? (size_t)(dot - key.data) : key.len;

	for (size_t i = 0; i < IBB_ARRAY_SIZE(folders); i++)
		if (n == strlen(folders[i]) && memcmp(key.data, folders[i], n) == 0)
			return folders[i];
	return NULL;
}

static int row_of(struct planning *g, const uint32_t *rows, uint32_t key, const char *table,
		  uint32_t *ret)
{
	char text[80];

	if (rows[key] == NO_ROW)
		return ibb_err(g->err, IBB_E_CORRUPT, "%s: damaged MSI: table %s lacks '%s'",
			       g->db->name, table, show(g, key, text));
	*ret = rows[key];
	return IBB_OK;
}

/* The chain of directories from `key` up, the root left out; *ret_top: the folder it begins with.
 */
static int climb(struct planning *g, uint32_t key, bool source, uint32_t rows[IBB_LIMIT_MSI_DEPTH],
		 unsigned *ret_n, const char **ret_top)
{
	char text[80];

	for (unsigned n = 0;; n++) {
		uint32_t row = 0, parent;
		int rc = row_of(g, g->directory_row, key, "Directory", &row);

		if (rc)
			return rc;
		*ret_n = n;
		*ret_top = source ? NULL : folder_of(msi_string(g->db, key));
		rc = msi_str(g->db, &g->directory, row, g->d_parent, &parent, g->err);
		if (rc || *ret_top || !parent || parent == key)
			return rc;
		if (n == IBB_LIMIT_MSI_DEPTH)
			return ibb_err(g->err, IBB_E_CORRUPT,
				       "%s: damaged MSI: directory '%s' lies in itself or deeper "
				       "than %u",
				       g->db->name, show(g, key, text), IBB_LIMIT_MSI_DEPTH);
		rows[n] = row;
		key = parent;
	}
}

static int append_directory(struct planning *g, uint32_t key, bool source, struct ibb_buf *path)
{
	uint32_t rows[IBB_LIMIT_MSI_DEPTH];
	const char *top = NULL;
	unsigned n = 0;
	int rc = climb(g, key, source, rows, &n, &top);

	if (!rc && top && ibb_buf_append_str(path, top))
		rc = ibb_err_nomem(g->err);
	while (!rc && n--) {
		struct ibb_bytes name;
		uint32_t string;

		rc = msi_str(g->db, &g->directory, rows[n], g->d_default, &string, g->err);
		if (rc)
			break;
		name = pick_name(msi_string(g->db, string), true, source,
				 source && g->words & WORDS_SHORT_NAMES);
		if (name.len == 1 && name.data[0] == '.') /* the same as its parent */
			continue;
		rc = append_name(g, path, name);
	}
	return rc;
}

/* ---- files ---- */

static int make_path(struct planning *g, uint32_t row, bool source, char **ret)
{
	IBB_AUTO_BUF struct ibb_buf path = {0};
	uint32_t component, directory = 0, name = 0, c_row = 0;
	char *text;
	int rc = msi_str(g->db, &g->file, row, g->f_component, &component, g->err);

	if (!rc)
		rc = row_of(g, g->component_row, component, "Component", &c_row);
	if (!rc)
		rc = msi_str(g->db, &g->component, c_row, g->c_directory, &directory, g->err);
	if (!rc)
		rc = append_directory(g, directory, source, &path);
	if (!rc)
		rc = msi_str(g->db, &g->file, row, g->f_name, &name, g->err);
	if (!rc)
		rc = append_name(g, &path,
				 pick_name(msi_string(g->db, name), false, source,
					   source && g->words & WORDS_SHORT_NAMES));
	if (rc)
		return rc;
	g->path_bytes += path.len;
	if (g->path_bytes > IBB_LIMIT_MSI_PATHS)
		return ibb_err(g->err, IBB_E_LIMIT, "%s: its paths have more than %u bytes",
			       g->db->name, IBB_LIMIT_MSI_PATHS);
	text = ibb_buf_take_str(&path);
	if (!text)
		return ibb_err_nomem(g->err);
	*ret = text;
	return IBB_OK;
}

/* The first medium that goes as far as the file's number. */
static int find_medium(struct planning *g, struct msi_file *f)
{
	char key[80];

	for (size_t i = 0; i < g->p->n_media; i++)
		if (f->sequence > 0 && f->sequence <= g->p->media[i].last) {
			f->medium = (uint32_t)i;
			return IBB_OK;
		}
	return ibb_err(g->err, IBB_E_CORRUPT,
		       "%s: damaged MSI: file '%s' has the number %d, which is on no medium",
		       g->db->name, show(g, f->key, key), f->sequence);
}

static int place_file(struct planning *g, uint32_t row, struct msi_file *f)
{
	bool packed = g->words & WORDS_COMPRESSED;
	int32_t attributes;
	int rc = find_medium(g, f);

	if (!rc)
		rc = make_path(g, row, false, &f->path);
	if (rc)
		return rc;
	msi_int(&g->file, row, g->f_attributes, &attributes);
	if (attributes & ATTRIBUTE_NONCOMPRESSED)
		packed = false;
	if (attributes & ATTRIBUTE_COMPRESSED)
		packed = true;
	if (g->words & WORDS_ADMIN_IMAGE)
		packed = false;
	if (packed && g->p->media[f->medium].cabinet)
		return IBB_OK;
	f->medium = MSI_NO_MEDIUM;
	return make_path(g, row, true, &f->source);
}

static int by_sequence(const void *a, const void *b)
{
	const struct msi_file *x = a, *y = b;

	return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static int make_files(struct planning *g)
{
	struct msi_plan *p = g->p;
	int rc = IBB_OK;

	if (g->file.n_rows > IBB_LIMIT_UNPACK_FILES)
		return ibb_err(g->err, IBB_E_LIMIT, "%s: more than %u files", g->db->name,
			       IBB_LIMIT_UNPACK_FILES);
	p->files = ibb_calloc_array(g->file.n_rows, sizeof(*p->files));
	if (!p->files)
		return ibb_err_nomem(g->err);
	for (uint32_t i = 0; !rc && i < g->file.n_rows; i++) {
		struct msi_file *f = &p->files[p->n_files++];
		int32_t size = 0;
		char key[80];

		rc = msi_str(g->db, &g->file, i, g->f_key, &f->key, g->err);
		if (!rc)
			rc = msi_str(g->db, &g->file, i, g->f_component, &f->component, g->err);
		if (rc)
			break;
		if (!msi_int(&g->file, i, g->f_size, &size) || size < 0)
			return ibb_err(g->err, IBB_E_CORRUPT,
				       "%s: damaged MSI: file '%s' has no size", g->db->name,
				       show(g, f->key, key));
		f->size = (uint32_t)size;
		msi_int(&g->file, i, g->f_sequence, &f->sequence);
		rc = place_file(g, i, f);
	}
	if (!rc && p->n_files > 1)
		qsort(p->files, p->n_files, sizeof(*p->files), by_sequence);
	return rc;
}

int msi_plan_make(const struct msi_db *db, struct unpack_tree *t, struct msi_plan *ret,
		  struct ibb_error *err)
{
	struct msi_plan p = {0};
	struct planning g = {.db = db, .p = &p, .err = err};
	uint32_t *files_row = NULL;
	int rc = load_files(&g);

	if (!rc)
		rc = load_directories(&g);
	if (!rc)
		rc = index_rows(&g, &g.file, g.f_key, &files_row);
	free(files_row);
	if (!rc)
		rc = load_media(&g);
	if (!rc)
		rc = load_words(&g);
	if (!rc)
		rc = make_files(&g);
	if (!rc)
		rc = msi_keep_apart(db, &p, t, err);
	planning_clear(&g);
	if (rc) {
		msi_plan_clear(&p);
		return rc;
	}
	*ret = p;
	return IBB_OK;
}

void msi_plan_clear(struct msi_plan *p)
{
	for (size_t i = 0; i < p->n_files; i++) {
		free(p->files[i].path);
		free(p->files[i].source);
	}
	for (size_t i = 0; i < p->n_media; i++)
		free(p->media[i].cabinet);
	free(p->files);
	free(p->media);
	*p = (struct msi_plan){0};
}
