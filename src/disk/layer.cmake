# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(disk
	SOURCES disk/disk.c disk/file.c disk/mem.c disk/slice.c disk/grow.c disk/overlay.c disk/fault.c
		disk/vhd.c disk/vhd_header.c disk/vhd_bat.c disk/vhd_sparse.c disk/vhd_open.c disk/vhd_write.c
		disk/vhdx.c disk/vhdx_map.c disk/vhdx_header.c disk/vhdx_log.c disk/vhdx_region.c
		disk/vhdx_meta.c disk/vhdx_parent.c disk/vhdx_bat.c disk/vhdx_write.c
		disk/link.c disk/writer.c disk/container.c disk/crc32.c disk/crc32c.c
		disk/chain.c disk/chain_find.c disk/second_opinion.c disk/opinion_sample.c
		disk/partition.c disk/mbr.c disk/gpt.c
		disk/sink.c disk/raw_write.c disk/gpt_move.c disk/copy.c disk/copy_overlay.c disk/digest.c
		disk/journal.c disk/journal_form.c disk/journal_host.c disk/journal_place.c
		disk/undo.c disk/undo_form.c disk/inuse.c disk/children.c disk/spill.c
	USES base
	LIBS PkgConfig::LIBVHDI)
