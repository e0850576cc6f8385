/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The driver database of both nodes, published names in use, device instances. */
#include "inspect/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"

static struct ibb_hive *node_hive(const struct ibb_facts *f, enum ibb_node n)
{
	return f->hives[n == IBB_NODE_SYSTEM ? IBB_HIVE_SYSTEM : IBB_HIVE_DRIVERS].hive;
}

/* DEVPKEY_DeviceClass_BootCritical; the property's value is a DEVPROP boolean, FF for true. */
#define BOOT_CRITICAL "Properties\\{6a3433f4-5626-40e8-a9b9-dbd9ecd2884b}\\0003"
#define EXTENSION     "{e2f84ce7-8efa-411c-aa69-97454ca4cb57}"

int ibb_facts_class_is_boot_critical(const struct ibb_facts *f, const struct ibb_guid *class_guid,
				     bool *ret, struct ibb_error *err)
{
	const struct ibb_hive *h = f->hives[IBB_HIVE_SYSTEM].hive;
	IBB_AUTO_BUF struct ibb_buf data = {0};
	IBB_AUTO_FREE char *path = NULL;
	char guid[IBB_GUID_STR_SIZE];
	uint32_t type;
	ibb_key k;
	int r;

	*ret = false;
	if (!h)
		return IBB_OK; /* nothing is staged without a SYSTEM hive; inspect goes on */
	ibb_guid_format(class_guid, guid);
	if (strcmp(guid, EXTENSION) == 0) {
		*ret = true;
		return IBB_OK;
	}
	path = ibb_asprintf("%s\\Control\\Class\\%s\\" BOOT_CRITICAL, f->control_set, guid);
	if (!path)
		return ibb_err_nomem(err);
	r = ibb_hive_find(h, ibb_hive_root(h), path, &k, err);
	if (!r)
		r = ibb_hive_get(h, k, "", &type, &data, err);
	if (r && r != IBB_E_NOTFOUND)
		return r;
	*ret = !r && data.len >= 1 && data.data[0] == 0xff;
	return IBB_OK;
}

struct package_ctx {
	struct ibb_facts *f;
	enum ibb_node node;
	struct ibb_hive *h;
};

static int package_strings(struct ibb_fact_package *p, const struct ibb_hive *h, ibb_key k,
			   struct ibb_error *err)
{
	const struct {
		const char *value;
		char **ret;
	} strings[] = {{"", &p->published},
		       {"InfName", &p->inf_name},
		       {"Provider", &p->provider},
		       {"SignerName", &p->signer},
		       {"Catalog", &p->catalog}};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(strings); i++) {
		int r = ibb_hive_get_string(h, k, "", strings[i].value, strings[i].ret, err);

		/* a value of another type is that package's fault, not a reason to stop */
		if (r && r != IBB_E_NOTFOUND && r != IBB_E_CORRUPT)
			return r;
	}
	return IBB_OK;
}

/* setupapi.h: 0x80000000 for what is not signed, 0xff000000 for what was not looked at. */
#define SIGNER_SCORE_MASK 0xf0000000u

static int package_signature(struct ibb_fact_package *p, const struct ibb_hive *h, ibb_key k,
			     struct ibb_error *err)
{
	uint32_t score = 0;
	int r = ibb_hive_get_dword(h, k, "", "SignerScore", &score, err);

	if (r && r != IBB_E_NOTFOUND && r != IBB_E_CORRUPT)
		return r;
	p->unsigned_ = !r && (score & SIGNER_SCORE_MASK);
	return IBB_OK;
}

static int package_version(struct ibb_facts *f, struct ibb_fact_package *p,
			   const struct ibb_hive *h, ibb_key k, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf data = {0};
	uint32_t type;
	int r = ibb_hive_get(h, k, "Version", &type, &data, err);

	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	if (data.len != IBB_VERSION_BLOB_SIZE)
		return ibb_facts_warn(f, err, "package %s: its Version value has %zu bytes, not 48",
				      p->name, data.len);
	p->has_version = true;
	ibb_version_blob_decode(data.data, &p->version);
	return ibb_facts_class_is_boot_critical(f, &p->version.class_guid, &p->boot_critical, err);
}

/* PnP goes from the device ID to the published name, and by its Active value to the package. */
static int package_active(struct ibb_fact_package *p, const struct ibb_hive *h,
			  struct ibb_error *err)
{
	IBB_AUTO_FREE char *key = NULL, *active = NULL;
	int r;

	if (!p->published || !*p->published || strchr(p->published, '\\'))
		return IBB_OK; /* no name of a key */
	key = ibb_asprintf("DriverDatabase\\DriverInfFiles\\%s", p->published);
	if (!key)
		return ibb_err_nomem(err);
	r = ibb_hive_get_string(h, ibb_hive_root(h), key, "Active", &active, err);
	if (r && r != IBB_E_NOTFOUND && r != IBB_E_CORRUPT)
		return r;
	p->active = active && ibb_caseeq(active, p->name);
	return IBB_OK;
}

static int read_package(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct package_ctx *c = ctx;
	struct ibb_facts *f = c->f;
	struct ibb_fact_package *p;
	int r;

	if (ibb_grow(&f->packages, &f->cap_packages, f->n_packages, sizeof(*f->packages)))
		return ibb_err_nomem(err);
	p = &f->packages[f->n_packages];
	*p = (struct ibb_fact_package){.node = c->node, .name = ibb_strdup(name)};
	if (!p->name)
		return ibb_err_nomem(err);
	f->n_packages++;
	r = package_strings(p, c->h, k, err);
	if (!r)
		r = package_signature(p, c->h, k, err);
	if (!r)
		r = package_version(f, p, c->h, k, err);
	if (!r)
		r = package_active(p, c->h, err);
	if (r)
		return r;
	p->oem = p->published && ibb_oem_number(p->published, ".inf", &p->oem_number);
	if (!ibb_store_package_name_ok(name))
		return ibb_facts_warn(
			f, err, "driver package key '%s' has not the form Windows expects", name);
	return IBB_OK;
}

static int read_node(struct ibb_facts *f, enum ibb_node node, struct ibb_error *err)
{
	struct package_ctx ctx = {f, node, node_hive(f, node)};
	ibb_key k;
	int r;

	if (!ctx.h)
		return IBB_OK;
	r = ibb_facts_has_key(ctx.h, "DriverDatabase", &f->node_present[node], err);
	if (r || !f->node_present[node])
		return r;
	r = ibb_hive_find(ctx.h, ibb_hive_root(ctx.h), "DriverDatabase\\DriverPackages", &k, err);
	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	return ibb_hive_subkeys(ctx.h, k, read_package, &ctx, err);
}

int ibb_facts_read_database(struct ibb_facts *f, struct ibb_error *err)
{
	const struct ibb_hive *h = f->hives[IBB_HIVE_SYSTEM].hive;
	uint32_t type;
	ibb_key k;
	int r = IBB_OK;

	for (int n = 0; n < IBB_N_NODES && !r; n++)
		r = read_node(f, n, err);
	if (r || !f->node_present[IBB_NODE_SYSTEM])
		return r;
	r = ibb_hive_find(h, ibb_hive_root(h), "DriverDatabase", &k, err);
	if (!r)
		r = ibb_hive_get(h, k, "OemInfMap", &type, &f->oem_map, err);
	f->oem_map_present = !r;
	return r == IBB_E_NOTFOUND ? IBB_OK : r;
}

/* ---- published names ---- */

static int mark_oem(struct ibb_facts *f, unsigned n, struct ibb_error *err)
{
	if (n >= f->n_oem_in_use) {
		size_t want = (size_t)n + 64;
		uint8_t *p = ibb_realloc_array(f->oem_in_use, want, 1);

		if (!p)
			return ibb_err_nomem(err);
		memset(p + f->n_oem_in_use, 0, want - f->n_oem_in_use);
		f->oem_in_use = p;
		f->n_oem_in_use = want;
	}
	f->oem_in_use[n] = 1;
	return IBB_OK;
}

static int mark_name(struct ibb_facts *f, const char *name, const char *suffix,
		     struct ibb_error *err)
{
	unsigned n;

	if (!ibb_oem_number(name, suffix, &n) || n > IBB_LIMIT_OEM_NUMBER)
		return IBB_OK;
	return mark_oem(f, n, err);
}

static int mark_inf_file(void *ctx, const char *name, enum ibb_file_type type,
			 struct ibb_error *err)
{
	int r = mark_name(ctx, name, ".inf", err);

	(void)type;
	/* a stale oemN.PNF could be taken for ours, so its number is in use as well */
	return r ? r : mark_name(ctx, name, ".pnf", err);
}

static int mark_cat_file(void *ctx, const char *name, enum ibb_file_type type,
			 struct ibb_error *err)
{
	(void)type;
	return mark_name(ctx, name, ".cat", err);
}

static int mark_key(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	(void)k;
	return mark_name(ctx, name, ".inf", err);
}

/* Lists a directory of the driver store and remembers when there is none. */
static int list_dir(struct ibb_facts *f, struct ibb_volume *v, const char *dir, ibb_dirent_fn fn,
		    struct ibb_error *err)
{
	int r = ibb_volume_list(v, dir, fn, f, err);

	if (r == IBB_E_NOTFOUND) {
		f->missing_dir = dir;
		r = IBB_OK;
	}
	return r;
}

static int ignore_entry(void *ctx, const char *name, enum ibb_file_type type, struct ibb_error *err)
{
	(void)ctx;
	(void)name;
	(void)type;
	(void)err;
	return IBB_OK;
}

int ibb_facts_read_oem_numbers(struct ibb_facts *f, struct ibb_volume *v, struct ibb_error *err)
{
	int r = list_dir(f, v, IBB_STORE_INF_DIR, mark_inf_file, err);

	if (!r)
		r = list_dir(f, v, IBB_STORE_CAT_DIR, mark_cat_file, err);
	if (!r)
		r = list_dir(f, v, IBB_STORE_DIR, ignore_entry, err);
	for (int n = 0; n < IBB_N_NODES && !r; n++) {
		struct ibb_hive *h = node_hive(f, n);
		ibb_key k;

		if (!h)
			continue;
		r = ibb_hive_find(h, ibb_hive_root(h), "DriverDatabase\\DriverInfFiles", &k, err);
		if (!r)
			r = ibb_hive_subkeys(h, k, mark_key, f, err);
		if (r == IBB_E_NOTFOUND)
			r = IBB_OK;
	}
	for (size_t i = 0; i < f->oem_map.len * 8 && i <= IBB_LIMIT_OEM_NUMBER && !r; i++)
		if (ibb_oem_map_get(ibb_buf_bytes(&f->oem_map), (unsigned)i))
			r = mark_oem(f, (unsigned)i, err);
	return r;
}

/* ---- files of staged packages ---- */

static int digest_file(struct ibb_volume *v, const char *dir, const char *name,
		       struct ibb_sha256 *ret, struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = ibb_asprintf("%s/%s", dir, name), *norm = NULL;
	IBB_AUTO_BUF struct ibb_buf b = {0};
	int r;

	if (!path)
		return ibb_err_nomem(err);
	/* the name comes from the hive: it must not lead anywhere else */
	r = ibb_path_normalize(path, &norm, err);
	if (r)
		return r == IBB_E_INVALID ? IBB_E_NOTFOUND : r;
	r = ibb_volume_read(v, norm, IBB_LIMIT_INF_BYTES, &b, err);
	if (!r && ibb_sha256(b.data, b.len, ret))
		r = ibb_err_nomem(err);
	return r;
}

static int read_package_files(struct ibb_fact_package *p, struct ibb_volume *v,
			      struct ibb_error *err)
{
	IBB_AUTO_FREE char *dir = ibb_asprintf("%s/%s", IBB_STORE_DIR, p->name), *cat = NULL;
	int r;

	if (!dir)
		return ibb_err_nomem(err);
	r = digest_file(v, dir, p->inf_name, &p->inf_sha256, err);
	if (!r) {
		/* the published catalog: older Windows record no catalog name */
		cat = ibb_asprintf("%.*s.cat", (int)(strlen(p->published) - 4), p->published);
		if (!cat)
			return ibb_err_nomem(err);
		r = digest_file(v, IBB_STORE_CAT_DIR, cat, &p->cat_sha256, err);
		if (r == IBB_E_NOTFOUND && !p->signer && !p->catalog)
			r = IBB_OK; /* imported without a signature: no catalog, no digest of it */
	}
	if (r == IBB_E_NOTFOUND) {
		p->files_missing = true;
		return IBB_OK;
	}
	p->digest_known = !r;
	return r;
}

int ibb_facts_read_store(struct ibb_facts *f, struct ibb_volume *v, const char *const *names,
			 size_t n, struct ibb_error *err)
{
	for (size_t i = 0; i < f->n_packages; i++) {
		struct ibb_fact_package *p = &f->packages[i];
		bool wanted = false;
		int r;

		for (size_t k = 0; k < n && p->oem && p->inf_name; k++)
			wanted |= ibb_caseeq(p->inf_name, names[k]);
		if (!wanted || p->digest_known || p->files_missing)
			continue;
		r = read_package_files(p, v, err);
		if (r)
			return r;
	}
	return IBB_OK;
}

/* ---- who serves an ID ---- */

struct match_ctx {
	const struct ibb_facts *f;
	enum ibb_node node;
	const char *id;
	struct ibb_fact_match **list;
	size_t *n, cap;
};

static int add_match(void *ctx, const struct ibb_value *v, struct ibb_error *err)
{
	struct match_ctx *c = ctx;

	if (v->type != IBB_REG_BINARY || v->size != 4)
		return IBB_OK;
	for (size_t i = 0; i < c->f->n_packages; i++) {
		const struct ibb_fact_package *p = &c->f->packages[i];

		if (p->node != c->node || !p->published || !ibb_caseeq(p->published, v->name))
			continue;
		if (ibb_grow(c->list, &c->cap, *c->n, sizeof(**c->list)))
			return ibb_err_nomem(err);
		(*c->list)[*c->n] = (struct ibb_fact_match){.package = p, .id = c->id};
		memcpy((*c->list)[(*c->n)++].data, v->data, 4);
	}
	return IBB_OK;
}

int ibb_facts_matches(const struct ibb_facts *f, const char *id, struct ibb_fact_match **ret,
		      size_t *ret_n, struct ibb_error *err)
{
	IBB_AUTO_FREE char *key = ibb_asprintf("DriverDatabase\\DeviceIds\\%s", id);
	IBB_AUTO_FREE struct ibb_fact_match *list = NULL;
	struct match_ctx c = {.f = f, .id = id, .list = &list, .cap = 0};
	size_t n = 0;

	if (!key)
		return ibb_err_nomem(err);
	c.n = &n;
	for (int node = 0; node < IBB_N_NODES; node++) {
		struct ibb_hive *h = node_hive(f, node);
		ibb_key k;
		int r;

		if (!h)
			continue;
		c.node = node;
		r = ibb_hive_find(h, ibb_hive_root(h), key, &k, err);
		if (!r)
			r = ibb_hive_values(h, k, add_match, &c, err);
		if (r && r != IBB_E_NOTFOUND)
			return r;
	}
	*ret = IBB_TAKE(list);
	*ret_n = n;
	return IBB_OK;
}

/* ---- device instances ---- */

struct device_ctx {
	struct ibb_facts *f;
	const char *control_set, *device_id;
	const struct ibb_hive *h;
};

static int device_ids(struct ibb_fact_device *d, const struct ibb_hive *h, ibb_key k,
		      const char *value, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf data = {0};
	uint32_t type;
	int r = ibb_hive_get(h, k, value, &type, &data, err);

	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	for (size_t off = 0; off + 1 < data.len;) {
		size_t end = off;
		char **p;

		while (end + 1 < data.len && ibb_get_le16(data.data + end))
			end += 2;
		if (end == off)
			break;
		p = ibb_realloc_array(d->ids, d->n_ids + 1, sizeof(*d->ids));
		if (!p)
			return ibb_err_nomem(err);
		d->ids = p;
		p[d->n_ids] = ibb_utf8_from_utf16le(data.data + off, end - off);
		if (!p[d->n_ids])
			return ibb_err_nomem(err);
		d->n_ids++;
		off = end + 2;
	}
	return IBB_OK;
}

/* The class key says which INF installed the driver. */
static int device_inf(struct ibb_fact_device *d, const struct ibb_hive *h, struct ibb_error *err)
{
	IBB_AUTO_FREE char *key = ibb_asprintf("%s\\Control\\Class\\%s", d->control_set, d->driver);
	int r = key ? ibb_facts_string(h, key, "InfPath", &d->inf, err) : ibb_err_nomem(err);

	/* Driver is text out of the hive and need not be a path */
	return r == IBB_E_INVALID ? IBB_OK : r;
}

static int read_instance(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct device_ctx *c = ctx;
	struct ibb_facts *f = c->f;
	struct ibb_fact_device *d;
	int r;

	if (ibb_grow(&f->devices, &f->cap_devices, f->n_devices, sizeof(*f->devices)))
		return ibb_err_nomem(err);
	d = &f->devices[f->n_devices];
	*d = (struct ibb_fact_device){.control_set = ibb_strdup(c->control_set),
				      .device_id = ibb_strdup(c->device_id),
				      .instance = ibb_strdup(name)};
	f->n_devices++;
	if (!d->control_set || !d->device_id || !d->instance)
		return ibb_err_nomem(err);
	r = ibb_hive_get_string(c->h, k, "", "Driver", &d->driver, err);
	if (!r)
		r = device_inf(d, c->h, err);
	if (r && r != IBB_E_NOTFOUND)
		return r;
	r = device_ids(d, c->h, k, "HardwareID", err);
	return r ? r : device_ids(d, c->h, k, "CompatibleIDs", err);
}

static int read_device(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct device_ctx *c = ctx;
	IBB_AUTO_FREE char *id = NULL;

	if (!ibb_case_prefix(name, "VEN_15B3"))
		return IBB_OK;
	id = ibb_asprintf("PCI\\%s", name);
	if (!id)
		return ibb_err_nomem(err);
	c->device_id = id;
	return ibb_hive_subkeys(c->h, k, read_instance, c, err);
}

int ibb_facts_read_devices(struct ibb_facts *f, struct ibb_error *err)
{
	const struct ibb_hive *h = f->hives[IBB_HIVE_SYSTEM].hive;

	for (size_t i = 0; h && i < f->n_control_sets; i++) {
		struct device_ctx c = {.f = f, .control_set = f->control_sets[i], .h = h};
		IBB_AUTO_FREE char *path = ibb_asprintf("%s\\Enum\\PCI", f->control_sets[i]);
		ibb_key k;
		int r;

		if (!path)
			return ibb_err_nomem(err);
		r = ibb_hive_find(h, ibb_hive_root(h), path, &k, err);
		if (!r)
			r = ibb_hive_subkeys(h, k, read_device, &c, err);
		if (r && r != IBB_E_NOTFOUND)
			return r;
	}
	return IBB_OK;
}
