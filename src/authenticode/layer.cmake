# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(authenticode
	SOURCES
		authenticode/cat.c
		authenticode/cat_member.c
		authenticode/der.c
		authenticode/pe.c
		authenticode/pe_layout.c
		authenticode/signer.c
		authenticode/spc.c
	USES base
	LIBS OpenSSL::Crypto)
