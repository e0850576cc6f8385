# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(volume
	SOURCES volume/volume.c volume/security.c volume/ntfs.c volume/ntfs_dev.c
		volume/ntfs_state.c volume/ntfs_read.c volume/ntfs_meta.c volume/ntfs_write.c
		volume/wof.c volume/dir.c volume/dir_commit.c volume/fat.c volume/fat_dir.c
		volume/wim.c volume/wim_header.c volume/wim_parts.c volume/wim_tree.c
		volume/wim_blob.c volume/wim_names.c volume/wim_volume.c
	USES base disk
	LIBS PkgConfig::NTFS3G ibb_wimlib)
