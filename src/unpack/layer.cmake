# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(unpack
	SOURCES unpack/archives.c unpack/detect.c unpack/forms.c unpack/source.c unpack/tree.c unpack/unpack.c
	USES base)
