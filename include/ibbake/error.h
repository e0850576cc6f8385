/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Errors of libibbake.
 *
 * Every fallible function returns 0 (IBB_OK) or a negative enum ibb_code and fills a caller-owned
 * struct ibb_error. The struct never allocates, so out-of-memory and error paths cannot fail.
 * Output parameters are untouched on failure.
 */
#ifndef IBBAKE_ERROR_H
#define IBBAKE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define IBB_API		   __attribute__((visibility("default")))
#define IBB_MUST_CHECK	   __attribute__((warn_unused_result))
#define IBB_PRINTF(fmt, a) __attribute__((format(printf, fmt, a)))
#else
#define IBB_API
#define IBB_MUST_CHECK
#define IBB_PRINTF(fmt, a)
#endif

/* What kind of failure it is. ibb_exit_status() maps the kind to the tool's exit status. */
enum ibb_code {
	IBB_OK = 0,
	IBB_E_NOMEM = -1,	/* out of memory */
	IBB_E_IO = -2,		/* the operating system failed a read, write, open, ... */
	IBB_E_NOSPACE = -3,	/* no space: on the host, or in the volume for the plan */
	IBB_E_NOTFOUND = -4,	/* a name that was looked up is not there (often expected) */
	IBB_E_EXISTS = -5,	/* would replace something that nobody allowed to replace */
	IBB_E_INVALID = -6,	/* the caller's argument is wrong (usage) */
	IBB_E_CORRUPT = -7,	/* damaged, truncated or hostile input */
	IBB_E_UNSUPPORTED = -8, /* sound input that ibbake does not support, or must refuse */
	IBB_E_LIMIT = -9,	/* input exceeds a limit of base/limits.h */
	IBB_E_DIRTY = -10,	/* volume or hive not cleanly closed */
	IBB_E_UNTRUSTED = -11,	/* signature or digest does not vouch for the bytes */
	IBB_E_CONFLICT = -12,	/* the state found contradicts the state the plan was made for */
	IBB_E_READONLY = -13,	/* write to something opened read-only */
	IBB_E_CANCELLED = -14,	/* the progress callback asked to stop */
	IBB_E_INTERNAL = -15,	/* a bug in ibbake */
	IBB_E_DIFFERS = -16,	/* verify: the image is not what the manifest says */
	IBB_E_TIMEOUT = -17,	/* a time limit ran out */
	IBB_E_CHANGED = -18	/* the input changed while it was read */
};

/*
 * One error, with its context. `msg` says what and where (file, offset, line), `hint` says what to
 * do about it; both are UTF-8, always NUL-terminated, and may be empty.
 */
struct ibb_error {
	int code;	    /* enum ibb_code */
	int os_errno;	    /* errno of the failing call, or 0 */
	const char *source; /* origin: "ibbake", "os", "ntfs-3g", ...; static storage */
	char msg[1024];
	char hint[512];
};

/*
 * The exit status of the tool for an error code: 0 for IBB_OK, 2 for IBB_E_INVALID, 3 for
 * IBB_E_DIFFERS, 100 for what is refused, 240 for IBB_E_TIMEOUT, 255 for damaged input, I/O and
 * internal errors. IBB_E_CANCELLED gives 130; the tool knows the signal and says 128+N itself.
 * The numbers follow the VM extension that ibbake replaces.
 */
IBB_API int ibb_exit_status(int code);

/* A short, stable, machine-readable name of an error code ("unsupported"); static storage. */
IBB_API const char *ibb_code_name(int code);

#ifdef __cplusplus
}
#endif
#endif
