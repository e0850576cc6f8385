/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An INF as a setupapi.dll reads it: compiled with mingw and run under Wine, whose setupapi is an
 * implementation of its own. Prints what infdump_ours.c prints.
 */
#include <windows.h>

#include <setupapi.h>
#include <stdio.h>

static WCHAR text[65536];
static char utf8[4 * 65536];

static void print(const WCHAR *s)
{
	int n = WideCharToMultiByte(CP_UTF8, 0, s, -1, utf8, sizeof(utf8), NULL, NULL);

	fwrite(utf8, 1, n > 0 ? (size_t)n - 1 : 0, stdout);
}

static void print_line(INFCONTEXT *c)
{
	DWORD fields = SetupGetFieldCount(c), need;

	/* field 0 is the key; a line without '=' has none, or repeats its first field there */
	for (DWORD f = 1; f <= fields; f++) {
		fputs(f > 1 ? "|" : "  ", stdout);
		if (SetupGetStringFieldW(c, f, text, 65536, &need))
			print(text);
	}
	fputs("\n", stdout);
}

int main(int argc, char **argv)
{
	WCHAR path[1024], section[512];
	UINT bad = 0;
	HINF h;

	(void)argc;
	MultiByteToWideChar(CP_ACP, 0, argv[1], -1, path, 1024);
	h = SetupOpenInfFileW(path, NULL, INF_STYLE_WIN4, &bad);
	if (h == INVALID_HANDLE_VALUE) {
		printf("refused: error %lx, line %u\n", (unsigned long)GetLastError(), bad);
		return 1;
	}
	for (UINT i = 0; SetupEnumInfSectionsW(h, i, section, 512, NULL); i++) {
		LONG n = SetupGetLineCountW(h, section);

		fputs("[", stdout);
		print(section);
		printf("] %ld\n", (long)n);
		for (LONG l = 0; l < n; l++) {
			INFCONTEXT c;

			if (SetupGetLineByIndexW(h, section, (DWORD)l, &c))
				print_line(&c);
		}
	}
	return 0;
}
