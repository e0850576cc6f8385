# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(inf
	SOURCES inf/addreg.c inf/decode.c inf/decoration.c inf/files.c inf/inf.c inf/install.c inf/lex.c
		inf/map.c inf/models.c inf/services.c inf/strings.c inf/version.c
	USES base)
