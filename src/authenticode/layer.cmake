# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(authenticode
	SOURCES authenticode/signer.c
	USES base
	LIBS OpenSSL::Crypto)
