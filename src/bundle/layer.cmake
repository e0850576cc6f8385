# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(bundle
	SOURCES bundle/form.c bundle/list.c bundle/read.c bundle/write.c
	USES base)
