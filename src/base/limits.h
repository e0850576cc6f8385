/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every limit on a size that comes from a file, in one place. */
#ifndef IBB_BASE_LIMITS_H
#define IBB_BASE_LIMITS_H

#include <stdint.h>

#define IBB_LIMIT_HIVE_BYTES	   (512u << 20) /* a SOFTWARE hive of a loaded server is 150 MB */
#define IBB_LIMIT_HIVE_DEPTH	   512u		/* documented registry limit: 512 levels */
#define IBB_LIMIT_HIVE_VALUE_BYTES (16u << 20)	/* that is written; read: as large as the hive */
#define IBB_LIMIT_HIVE_13_VALUE	   (1u << 20) /* format 1.3: Microsoft's "standard format" limit */
#define IBB_LIMIT_INF_BYTES	   (32u << 20)
#define IBB_LIMIT_INF_VALUE_BYTES  16344u /* one registry value made of AddReg lines */
#define IBB_LIMIT_INF_LINES	   2000000u
#define IBB_LIMIT_INF_LINE_CHARS   65536u
#define IBB_LIMIT_INF_FIELDS	   4000000u
#define IBB_LIMIT_INF_NEEDS_DEPTH  16u	 /* Microsoft: Needs "cannot be nested" at all */
#define IBB_LIMIT_INF_SUBKEY_CHARS 1024u /* of one AddReg line */
#define IBB_LIMIT_INF_SUBKEY_DEPTH 32u
#define IBB_LIMIT_INF_INCLUDES	   32u	 /* INFs that one install section draws on */
#define IBB_LIMIT_INF_STEPS	   1024u /* sections that take part in one install */
#define IBB_LIMIT_CONFIGURE_VALUES 4096u /* registry values one install section makes */
#define IBB_LIMIT_KEY_NAME_CHARS   255u	 /* documented registry limits */
#define IBB_LIMIT_VALUE_NAME_CHARS 16383u
#define IBB_LIMIT_DEVICE_ID_CHARS  200u /* MAX_DEVICE_ID_LEN of cfgmgr32.h */
#define IBB_LIMIT_CAT_BYTES	   (32u << 20)
#define IBB_LIMIT_CAT_MEMBERS	   262144u /* a cumulative update lists some ten thousand files */
#define IBB_LIMIT_CAT_ATTRS	   262144u /* the largest known: 4 264 */
#define IBB_LIMIT_CAT_TEXT_CHARS   32768u  /* of one attribute's name or value */
#define IBB_LIMIT_DER_DEPTH	   24u	   /* what is read here goes 9 deep */
#define IBB_LIMIT_PE_SECTIONS	   96u	   /* of the Windows loader (winnt.h, IMAGE_FILE_HEADER) */
#define IBB_LIMIT_SIGNERS	   8u	   /* of one message */
#define IBB_LIMIT_SIGNATURES	   16u	   /* of one file, nested ones counted */
#define IBB_LIMIT_SIGNATURE_DEPTH  4u	   /* of nested ones */
#define IBB_LIMIT_CERTIFICATES	   64u	   /* in one message, or given by the user */
#define IBB_LIMIT_ATTRIBUTES	   64u	   /* of one signer, and values of one attribute */
#define IBB_LIMIT_CHAIN_DEPTH	   10u
#define IBB_LIMIT_CRL_BYTES	   (64u << 20)
#define IBB_LIMIT_PACKAGE_FILES	   4096u
#define IBB_LIMIT_PACKAGE_BYTES	   (1024u << 20)
#define IBB_LIMIT_PACKAGES	   256u
#define IBB_LIMIT_JSON_BYTES	   (64u << 20)
#define IBB_LIMIT_JSON_DEPTH	   64u
#define IBB_LIMIT_CATALOG_FILES	   256u	 /* laid over each other */
#define IBB_LIMIT_CATALOG_ENTRIES  4096u /* of one list of a driver catalog */
#define IBB_LIMIT_PATH_CHARS	   4096u
#define IBB_LIMIT_PARTITIONS	   1024u
#define IBB_LIMIT_CHAIN_LINKS	   64u	 /* of differencing disks; Hyper-V itself makes 50 */
#define IBB_LIMIT_CHAIN_SCAN	   1024u /* images of one directory asked whether they are a parent */
#define IBB_LIMIT_OEM_NUMBER	   65535u
#define IBB_LIMIT_SCAN_DEPTH	   16u /* --drivers DIR is searched this deep */
#define IBB_LIMIT_SCAN_FILES	   100000u
#define IBB_LIMIT_ARCHIVE_MEMBERS  65535u	/* a cabinet counts them in 16 bits */
#define IBB_LIMIT_OVERLAY_BYTES	   (64u << 20)	/* of an overlay in memory; the rest spills */
#define IBB_LIMIT_SPILL_BYTES	   (4ull << 30) /* of an overlay in a temporary file */
#define IBB_LIMIT_WIM_STAGED	   (256u << 20) /* of new content of a WIM in memory */
#define IBB_LIMIT_WINRE_BYTES	   (8ull << 30) /* of a Winre.wim; Windows' own have 0.5 GiB */
#define IBB_LIMIT_WIM_IMAGES	   1024u
#define IBB_LIMIT_WIM_TABLE	   (128u << 20) /* of blobs, 50 bytes each; Windows: 5 MB */
#define IBB_LIMIT_WIM_XML	   (32u << 20)
#define IBB_LIMIT_WIM_METADATA	   (1u << 30)	/* names of one image; Windows: 40 MB */
#define IBB_LIMIT_WIM_PATH	   32767u	/* characters of one path; NT has no longer ones */
#define IBB_LIMIT_WIM_PATHS	   (256u << 20) /* of all paths of an image; Windows: 40 million */
#define IBB_LIMIT_WIM_CHUNK	   (64u << 20)	/* of a resource; Microsoft's limit */
#define IBB_LIMIT_WIM_TEXT	   1024u	/* bytes of one text of the XML data */
#define IBB_LIMIT_JOURNAL_RECORD   (1u << 20)	/* bytes of the image that one record covers */
#define IBB_LIMIT_SIBLINGS	   10000u	/* files beside an image that are looked at */
#define IBB_LIMIT_VHD_DISK_BYTES   (2040ull << 30)  /* Hyper-V's, and qemu's */
#define IBB_LIMIT_VHD_BLOCK_BYTES  (256u << 20)	    /* of a dynamic disk; Windows makes 512K, 2M */
#define IBB_LIMIT_VHD_BLOCKS	   (4u << 20)	    /* 2040 GiB of blocks of 512 KiB */
#define IBB_LIMIT_VHD_PATH_BYTES   65536u	    /* of a parent; Windows: 32 767 characters */
#define IBB_LIMIT_VHD_FIXED_BYTES  (32767ull << 30) /* the largest disk of Azure */
#define IBB_LIMIT_DIRENTS	   1000000u
#define IBB_LIMIT_VHDX_BLOCKS	   (1u << 24)	/* 16 TiB in blocks of 1 MiB; 64 MiB of memory */
#define IBB_LIMIT_VHDX_FILE_MIB	   (1u << 29)	/* 512 TiB; the largest disk has 64 TiB */
#define IBB_LIMIT_VHDX_LOG_BYTES   (64u << 20)	/* Windows makes logs of 1 MiB */
#define IBB_LIMIT_VHDX_REPLAY	   (256u << 20) /* bytes that a log may change, kept in memory */
#define IBB_LIMIT_VHDX_REPLAY_WORK (1u << 30)	/* bytes it may write, the same ones again too */
#define IBB_LIMIT_FAT_DIR_ENTRIES  65536u	/* of one directory: 2 MiB, Microsoft's limit */
#define IBB_LIMIT_UNPACK_BYTES	   (8ull << 30) /* of an unpacked installer; WinOF-2: 0.6 GiB */
#define IBB_LIMIT_UNPACK_FILES	   65536u
#define IBB_LIMIT_UNPACK_DEPTH	   4u		/* of archives in archives */
#define IBB_LIMIT_UNPACK_DIRS	   64u		/* of directories in directories */
#define IBB_LIMIT_UNPACK_PATH	   3072u	/* bytes; PATH_MAX less where it lies */
#define IBB_LIMIT_CFB_BYTES	   (4ull << 30) /* of a compound file; its tables: 36 MB */
#define IBB_LIMIT_CFB_MINIFAT	   16384u	/* sectors: 2 million small streams */
#define IBB_LIMIT_CFB_ENTRIES	   65536u	/* streams and storages; an MSI has some 100 */
#define IBB_LIMIT_MSI_TABLE	   (64u << 20)	/* of one stream of the database */
#define IBB_LIMIT_MSI_STRINGS	   (1u << 20)
#define IBB_LIMIT_MSI_ROWS	   (1u << 20)
#define IBB_LIMIT_MSI_DEPTH	   64u		/* of directories */
#define IBB_LIMIT_MSI_PATHS	   (64u << 20)	/* bytes of all paths of an MSI */
#define IBB_LIMIT_ZIP_DIRECTORY	   (32u << 20)	/* of a zip; one of 65 536 files has 8 MB */
#define IBB_LIMIT_DOWNLOAD_BYTES   (4ull << 30) /* of one file; WinOF-2 has 0.34 GiB */
#define IBB_LIMIT_CACHE_FILES	   65536u
#define IBB_LIMIT_URL_BYTES	   8192u  /* curl itself takes 8 MB */
#define IBB_LIMIT_HTTP_HEADERS	   65536u /* bytes of one answer */
#define IBB_LIMIT_REDIRECTS	   10u
#define IBB_LIMIT_BUNDLE_BYTES	   (4ull << 30)
#define IBB_LIMIT_BUNDLE_FILES	   65536u

#endif
