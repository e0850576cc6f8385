/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tool says: results on stdout, everything else on stderr. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

static volatile sig_atomic_t caught;

static void on_signal(int n)
{
	caught = n;
}

void cli_catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(signals); i++) {
		struct sigaction old;

		/* a signal that our parent ignores (nohup) stays ignored */
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
	}
	signal(SIGPIPE, SIG_IGN); /* a closed stdout is a write error, not a silent death */
}

int cli_signal(void)
{
	return caught;
}

static void error_json(const struct ibb_error *err)
{
	struct ibb_jb b = {0};
	struct ibb_json *o = ibb_jb_object(&b, NULL, NULL), *e, *doc;
	IBB_AUTO_BUF struct ibb_buf text = {0};
	char *s;

	e = ibb_jb_object(&b, o, "error");
	ibb_jb_str(&b, e, "code", ibb_code_name(err->code));
	ibb_jb_int(&b, e, "exit_status", ibb_exit_status(err->code));
	ibb_jb_str(&b, e, "message", err->msg);
	ibb_jb_str(&b, e, "hint", *err->hint ? err->hint : NULL);
	if (ibb_jb_done(&b, &doc, NULL))
		return;
	if (!ibb_json_print(doc, &text, NULL) && (s = ibb_buf_cstr(&text))) {
		/* one line an event, so that a reader can split at newlines */
		for (char *p = s; *p; p++)
			if (*p == '\n' || *p == '\t')
				*p = ' ';
		fprintf(stderr, "%s\n", s);
	}
	ibb_json_free(doc);
}

static void say(const char *what, const char *text)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};

	if (cli_plain(text, &b) || !ibb_buf_cstr(&b))
		fprintf(stderr, "ibbake: %sout of memory\n", what);
	else
		fprintf(stderr, "ibbake: %s%s\n", what, ibb_buf_cstr(&b));
}

void cli_error(const struct cli *c, const struct ibb_error *err)
{
	if (c->progress == CLI_PROGRESS_JSON) {
		error_json(err);
		return;
	}
	say("", err->msg);
	if (*err->hint)
		say("hint: ", err->hint);
}

int cli_usage(const struct cli *c, const char *fmt, ...)
{
	struct ibb_error err = {.code = IBB_E_INVALID, .source = "ibbake"};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err.msg, sizeof(err.msg), fmt, ap);
	va_end(ap);
	snprintf(err.hint, sizeof(err.hint), "see 'ibbake %s%s--help'",
		 c->command ? c->command : "", c->command ? " " : "");
	cli_error(c, &err);
	return ibb_exit_status(IBB_E_INVALID);
}

/* On a terminal, redrawn in place. */
static void draw_bar(struct cli *c, const struct ibb_progress *p)
{
	const int width = 20;
	char text[CLI_RATE_TEXT];
	int full;

	cli_rate_text(&c->rate, p, text);
	if (!p->total) {
		fprintf(stderr, "\r\033[K%s", p->phase);
	} else {
		full = (int)((double)p->done / (double)p->total * width);
		fprintf(stderr, "\r\033[K%-8s [%.*s%*s] %s", p->phase, full, "####################",
			width - full, "", text);
	}
	c->bar_drawn = true;
	fflush(stderr);
}

static void event_json(const struct cli *c, const struct ibb_progress *p)
{
	fprintf(stderr, "{\"phase\":\"%s\",\"done\":%llu,\"total\":%llu,", p->phase,
		(unsigned long long)p->done, (unsigned long long)p->total);
	if (c->rate.bytes_per_second)
		fprintf(stderr, "\"bytes_per_second\":%llu,\"seconds_left\":%llu}\n",
			(unsigned long long)c->rate.bytes_per_second,
			(unsigned long long)c->rate.seconds_left);
	else
		fputs("\"bytes_per_second\":null,\"seconds_left\":null}\n", stderr);
}

static void event_line(const struct ibb_progress *p, const struct cli_rate *r, bool new_phase)
{
	char text[CLI_RATE_TEXT];

	cli_rate_text(r, p, text);
	if (new_phase)
		fprintf(stderr, "ibbake: %s\n", p->phase);
	else if (*text)
		fprintf(stderr, "ibbake: %s: %s\n", p->phase, text);
}

static bool on_terminal(void)
{
	return isatty(STDERR_FILENO) && (!getenv("TERM") || strcmp(getenv("TERM"), "dumb") != 0);
}

/* Milliseconds between two reports of one phase. */
static uint64_t interval_ms(const struct cli *c, bool terminal)
{
	if (c->progress == CLI_PROGRESS_PLAIN)
		return 3000;
	/* into a file or a pipe: only what takes long is worth a line */
	return c->progress == CLI_PROGRESS_JSON || terminal ? 100 : 10000;
}

int cli_progress(void *ctx, const struct ibb_progress *p)
{
	struct cli *c = ctx;
	const bool new_phase = !c->phase || strcmp(c->phase, p->phase) != 0;
	struct timespec ts;
	uint64_t now = 0;
	bool terminal;

	if (c->progress == CLI_PROGRESS_NONE || (c->quiet && c->progress != CLI_PROGRESS_JSON))
		return caught;
	if (new_phase)
		c->terminal = c->progress == CLI_PROGRESS_AUTO && on_terminal();
	terminal = c->terminal;
	if (clock_gettime(CLOCK_MONOTONIC, &ts) == 0)
		now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	c->phase = p->phase;
	cli_rate_update(&c->rate, now, p);
	if (!new_phase && now - c->said_ms < interval_ms(c, terminal) &&
	    (p->done < p->total || !p->total || c->progress != CLI_PROGRESS_JSON))
		return caught;
	c->said_ms = now;
	if (c->progress == CLI_PROGRESS_JSON)
		event_json(c, p);
	else if (terminal)
		draw_bar(c, p);
	else if (c->progress == CLI_PROGRESS_PLAIN || !new_phase)
		event_line(p, &c->rate, new_phase);
	return caught;
}

void cli_progress_end(struct cli *c)
{
	if (c->bar_drawn)
		fputs("\r\033[K", stderr);
	c->bar_drawn = false;
}

int cli_out(const struct cli *c, const char *text, int status)
{
	(void)c;
	if (!text || fputs(text, stdout) == EOF || fflush(stdout) == EOF) {
		fputs("ibbake: the result could not be written to standard output\n", stderr);
		return 255;
	}
	return status;
}

int cli_finish(struct cli *c, int r, const struct ibb_error *err, char *json,
	       void (*text)(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out))
{
	int status = ibb_exit_status(r);

	cli_progress_end(c);
	if (r == IBB_E_CANCELLED && cli_signal())
		status = 128 + cli_signal();
	if (json && c->json) {
		status = cli_out(c, json, status);
	} else if (json && (!c->quiet || r)) {
		IBB_AUTO(ibb_json_free) struct ibb_json *doc = NULL;
		IBB_AUTO_BUF struct ibb_buf out = {0}, plain = {0};
		struct ibb_error e = {0};

		if (cli_plain_json(json, &plain)
			    ? ibb_err_nomem(&e)
			    : ibb_json_parse("result", plain.data, plain.len, &doc, &e)) {
			cli_error(c, &e);
			status = 255;
		} else {
			c->result = json;
			text(c, doc, &out);
			status = cli_out(c, ibb_buf_cstr(&out), status);
		}
	}
	if (r)
		cli_error(c, err);
	ibb_free(json);
	return status;
}

void cli_printf(struct ibb_buf *o, const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		(void)!ibb_buf_append(o, line, strlen(line));
}

const char *cli_str(const struct ibb_json *obj, const char *key)
{
	const char *s = ibb_json_str(obj, key);

	return s ? s : "-";
}

void cli_bytes(const char *decimal, char out[32])
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	double v = decimal ? strtod(decimal, NULL) : 0;
	unsigned u = 0;

	while (v >= 1024 && u + 1 < IBB_ARRAY_SIZE(units)) {
		v /= 1024;
		u++;
	}
	snprintf(out, 32, u ? "%.1f %s" : "%.0f %s", v, units[u]);
}
