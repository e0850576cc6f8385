/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two sides and a ring of buffers between them. The reading side is the caller's thread, which owns
 * the disk stack; the writing side owns the writer. A slot belongs to one side at a time, so only
 * the counters need the lock.
 *
 * pread and pwrite in pieces of 1 MiB: measured on ext4 they were at least as fast as
 * copy_file_range (1.2 GB cached: 0.3 s against 0.4 to 0.6 s), and where copy_file_range would
 * share blocks instead of copying them, FICLONE has been tried before.
 */
#include "disk/copy.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/sink.h"

#define PIECE	 (1u << 20)
#define SLOTS	 4u
#define FINE	 4096u	/* --sparse=always */
#define COARSE	 65536u /* --sparse=auto: finer holes make more extents than they save */
#define MAX_RUNS (PIECE / FINE / 2 + 1)

struct run {
	uint32_t at, len;
};

struct slot {
	uint8_t *buf;
	uint64_t off;
	size_t n_runs;
	struct run runs[MAX_RUNS]; /* what of it is to be written */
};

struct copier {
	struct ibb_disk *disk;
	struct ibb_writer *w;
	struct ibb_copy_opts o;
	int fd;
	ibb_copy_progress_fn progress;
	void *ctx;
	uint64_t done, total; /* data of the source */
	uint64_t pos;	      /* end of what was passed on */
	struct slot *slots;

	/* the ring; what follows is guarded by the lock once there is a thread */
	bool threaded;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t turn;
	uint64_t filled, written; /* slots so far */
	bool eof, failed;
	bool abandoned; /* the reading side has an error of its own */
	bool gave_up;	/* the reading side stopped because the writing side failed */
	uint64_t written_bytes;
	struct ibb_error write_err;
};

/* ---- the writing side ---- */

static int write_slot(struct copier *c, const struct slot *s, struct ibb_error *err)
{
	for (size_t i = 0; i < s->n_runs; i++) {
		const struct run *run = &s->runs[i];
		int r = c->w->ops->write(c->w, s->buf + run->at, run->len, s->off + run->at, err);

		if (r)
			return r;
		c->written_bytes += run->len;
	}
	return IBB_OK;
}

static void *write_all(void *arg)
{
	struct copier *c = arg;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		int r;

		while (c->written == c->filled && !c->eof)
			pthread_cond_wait(&c->turn, &c->lock);
		if (c->written == c->filled || c->abandoned)
			break;
		pthread_mutex_unlock(&c->lock);
		r = write_slot(c, &c->slots[c->written % SLOTS], &c->write_err);
		pthread_mutex_lock(&c->lock);
		c->written++;
		c->failed = r != 0;
		pthread_cond_signal(&c->turn);
		if (r)
			break;
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* A single processor, or no thread to be had: the two sides take turns. */
static void start_thread(struct copier *c)
{
	sigset_t all, old;

	if (c->o.one_thread || sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	/* signals are for the program's own threads */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	c->threaded = pthread_create(&c->thread, NULL, write_all, c) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Wait for the writing side, after an error of the reading side for no more than the slot it is at.
 * The error that came first is the one to tell. */
static int stop_thread(struct copier *c, int r, struct ibb_error *err)
{
	if (c->threaded) {
		pthread_mutex_lock(&c->lock);
		c->eof = true;
		c->abandoned = r != 0;
		pthread_cond_signal(&c->turn);
		pthread_mutex_unlock(&c->lock);
		pthread_join(c->thread, NULL);
	}
	if (!c->failed || (r && !c->gave_up))
		return r;
	if (c->write_err.code == IBB_E_NOSPACE && c->fd >= 0)
		(void)ibb_fd_no_space(c->fd, c->w->sink->name, c->total - c->written_bytes,
				      &c->write_err);
	if (err)
		*err = c->write_err;
	return c->write_err.code;
}

/* ---- the reading side ---- */

/* The slot to fill next; NULL when the writing side has failed. */
static struct slot *free_slot(struct copier *c)
{
	bool ok;

	if (!c->threaded)
		return c->failed ? NULL : &c->slots[0];
	pthread_mutex_lock(&c->lock);
	while (c->filled - c->written == SLOTS && !c->failed)
		pthread_cond_wait(&c->turn, &c->lock);
	ok = !c->failed;
	pthread_mutex_unlock(&c->lock);
	return ok ? &c->slots[c->filled % SLOTS] : NULL;
}

static void pass_slot(struct copier *c, const struct slot *s)
{
	if (!c->threaded) {
		c->failed = write_slot(c, s, &c->write_err) != 0;
		return;
	}
	pthread_mutex_lock(&c->lock);
	c->filled++;
	pthread_cond_signal(&c->turn);
	pthread_mutex_unlock(&c->lock);
}

static void add_run(struct slot *s, size_t at, size_t len)
{
	struct run *last = s->n_runs ? &s->runs[s->n_runs - 1] : NULL;

	if (last && last->at + last->len == at) {
		last->len += (uint32_t)len;
		return;
	}
	IBB_ASSERT(s->n_runs < MAX_RUNS);
	s->runs[s->n_runs++] = (struct run){(uint32_t)at, (uint32_t)len};
}

/* Leave the zeros out, in grains of the disk (not of the piece, which may begin anywhere). */
static void find_runs(const struct copier *c, struct slot *s, size_t n)
{
	const size_t grain = c->o.sparse == IBB_SPARSE_ALWAYS ? FINE : COARSE;
	size_t at = 0;

	s->n_runs = 0;
	if (c->o.sparse == IBB_SPARSE_NEVER) {
		add_run(s, 0, n);
		return;
	}
	while (at < n) {
		size_t k = grain - (size_t)((s->off + at) % grain);

		k = k < n - at ? k : n - at;
		if (!ibb_all_zero(s->buf + at, k))
			add_run(s, at, k);
		at += k;
	}
}

static int report(const struct copier *c, struct ibb_error *err)
{
	if (!c->progress || !c->progress(c->ctx, c->done, c->total))
		return IBB_OK;
	return ibb_err(err, IBB_E_CANCELLED, "%s: the copy was stopped", c->w->sink->name);
}

static int add_len(void *ctx, const struct ibb_extent *e, IBB_UNUSED struct ibb_error *err)
{
	struct copier *c = ctx;

	if (e->data || (c->o.sparse == IBB_SPARSE_NEVER && !c->o.room_taken))
		c->total += e->len_bytes;
	return IBB_OK;
}

/* One piece of a run. */
static int move_piece(struct copier *c, bool data, uint64_t off, size_t n, struct ibb_error *err)
{
	struct slot *s = free_slot(c);
	int r;

	if (!s) { /* its error is told when it has been waited for */
		c->gave_up = true;
		return IBB_E_INTERNAL;
	}
	s->off = off;
	if (data) {
		r = ibb_disk_pread(c->disk, s->buf, n, off, err);
		if (r)
			return r;
	} else {
		memset(s->buf, 0, n);
	}
	find_runs(c, s, n);
	pass_slot(c, s);
	c->done = c->done + n < c->total ? c->done + n : c->total;
	return report(c, err);
}

/*
 * Pieces end at multiples of their size, so that blocks of a format are met whole. A file system
 * may have blocks smaller than the disk's sectors, and its runs end in the middle of one: that
 * sector is data.
 */
static int copy_extent(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	struct copier *c = ctx;
	const uint64_t sector = c->w->o.sector_bytes, size = c->disk->size_bytes;
	uint64_t off = e->off_bytes / sector * sector, end = e->off_bytes + e->len_bytes;

	if (!e->data && (c->o.sparse != IBB_SPARSE_NEVER || c->o.room_taken))
		return IBB_OK;
	if (off < c->pos)
		off = c->pos;
	if (end % sector && end < size) {
		end -= end % sector;
		if (e->data)
			end = size - end < sector ? size : end + sector;
	}
	while (off < end) {
		const uint64_t border = (off / PIECE + 1) * PIECE;
		const size_t n = (size_t)((border < end ? border : end) - off);
		int r = move_piece(c, e->data, off, n, err);

		if (r)
			return r;
		off += n;
		c->pos = off;
	}
	return IBB_OK;
}

static int make_slots(struct copier *c, struct ibb_error *err)
{
	c->slots = ibb_calloc_array(SLOTS, sizeof(*c->slots));
	if (!c->slots)
		return ibb_err_nomem(err);
	for (unsigned i = 0; i < SLOTS; i++) {
		c->slots[i].buf = ibb_alloc(PIECE);
		if (!c->slots[i].buf)
			return ibb_err_nomem(err);
	}
	return IBB_OK;
}

static void free_slots(struct copier *c)
{
	for (unsigned i = 0; c->slots && i < SLOTS; i++)
		free(c->slots[i].buf);
	free(c->slots);
}

int ibb_copy_disk(struct ibb_disk *disk, struct ibb_writer *w, const struct ibb_copy_opts *o,
		  int fd, ibb_copy_progress_fn progress, void *ctx, struct ibb_copy_stats *stats,
		  struct ibb_error *err)
{
	struct copier c = {
		.disk = disk,
		.w = w,
		.o = *o,
		.fd = fd,
		.progress = progress,
		.ctx = ctx,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.turn = PTHREAD_COND_INITIALIZER,
	};
	int r = make_slots(&c, err);

	if (!r)
		r = ibb_disk_extents(disk, 0, disk->size_bytes, add_len, &c, err);
	if (!r)
		r = report(&c, err);
	if (!r) {
		start_thread(&c);
		r = ibb_disk_extents(disk, 0, disk->size_bytes, copy_extent, &c, err);
		r = stop_thread(&c, r, err);
	}
	free_slots(&c);
	pthread_cond_destroy(&c.turn);
	pthread_mutex_destroy(&c.lock);
	if (!r) {
		stats->read_bytes = c.done;
		stats->copied_bytes = c.written_bytes;
	}
	return r;
}
