# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(disk
	SOURCES disk/disk.c disk/file.c disk/mem.c disk/slice.c disk/grow.c disk/overlay.c disk/fault.c
		disk/vhd.c disk/link.c disk/writer.c disk/container.c disk/crc32.c
		disk/partition.c disk/mbr.c disk/gpt.c
		disk/copy.c disk/digest.c
		disk/journal.c disk/journal_form.c disk/journal_host.c disk/inuse.c disk/children.c
		disk/spill.c
	USES base)
