/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mkpe.h"

#include <string.h>

#include "base/le.h"

/*
 * Layout: headers, .text (code and tag), .reloc with one empty block, each one file alignment long.
 * Microsoft, "PE Format".
 */
#define ALIGN	   0x200
#define PAGE	   0x1000
#define PE_HEADER  0x80
#define OPTIONAL   (PE_HEADER + 24)
#define N_DIRS	   16
#define OPT_SIZE   (112 + 8 * N_DIRS)
#define SECTIONS   (OPTIONAL + OPT_SIZE)
#define N_SECTIONS 2
#define IMAGE_SIZE (ALIGN * (1 + N_SECTIONS))

static void put_section(uint8_t *h, const char *name, unsigned index, uint32_t used, uint32_t flags)
{
	memcpy(h, name, strlen(name));
	ibb_put_le32(h + 8, used);
	ibb_put_le32(h + 12, PAGE * (index + 1));
	ibb_put_le32(h + 16, ALIGN);
	ibb_put_le32(h + 20, ALIGN * (index + 1));
	ibb_put_le32(h + 36, flags);
}

static void put_optional(uint8_t *o)
{
	ibb_put_le16(o, 0x20b); /* PE32+ */
	o[2] = 14;		/* linker version */
	ibb_put_le32(o + 4, ALIGN);
	ibb_put_le32(o + 8, ALIGN);
	ibb_put_le32(o + 16, PAGE); /* entry point: the first byte of .text */
	ibb_put_le32(o + 20, PAGE);
	ibb_put_le64(o + 24, 0x140000000);
	ibb_put_le32(o + 32, PAGE);
	ibb_put_le32(o + 36, ALIGN);
	ibb_put_le16(o + 40, 10); /* operating system, image and subsystem version */
	ibb_put_le16(o + 44, 10);
	ibb_put_le16(o + 48, 10);
	ibb_put_le32(o + 56, PAGE * (1 + N_SECTIONS));
	ibb_put_le32(o + 60, ALIGN);
	ibb_put_le16(o + 68, 1);      /* subsystem native */
	ibb_put_le16(o + 70, 0x0160); /* high entropy, dynamic base, NX compatible */
	ibb_put_le64(o + 72, 0x40000);
	ibb_put_le64(o + 80, 0x1000);
	ibb_put_le64(o + 88, 0x100000);
	ibb_put_le64(o + 96, 0x1000);
	ibb_put_le32(o + 108, N_DIRS);
	ibb_put_le32(o + 112 + 8 * 5, 2 * PAGE); /* base relocations */
	ibb_put_le32(o + 112 + 8 * 5 + 4, 12);
}

/* As imagehlp's CheckSumMappedFile: 16-bit end-around sum without the field itself, plus size. */
static uint32_t checksum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i += 2) {
		if (i / 4 == (OPTIONAL + 64) / 4)
			continue;
		sum += ibb_get_le16(p + i);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum + (uint32_t)n;
}

int mkpe_driver(const char *tag, struct ibb_buf *ret)
{
	/* mov eax, STATUS_UNSUCCESSFUL; ret */
	static const uint8_t code[] = {0xb8, 0x01, 0x00, 0x00, 0xc0, 0xc3};
	uint8_t image[IMAGE_SIZE] = {0};
	uint8_t *text = image + ALIGN, *reloc = image + 2 * ALIGN;
	size_t n = strlen(tag);

	memcpy(image, "MZ", 2);
	ibb_put_le32(image + 0x3c, PE_HEADER);
	memcpy(image + PE_HEADER, "PE\0\0", 4);
	ibb_put_le16(image + PE_HEADER + 4, 0x8664);
	ibb_put_le16(image + PE_HEADER + 6, N_SECTIONS);
	ibb_put_le16(image + PE_HEADER + 20, OPT_SIZE);
	ibb_put_le16(image + PE_HEADER + 22, 0x22); /* executable, large addresses */
	put_optional(image + OPTIONAL);
	put_section(image + SECTIONS, ".text", 0, 0x100, 0x68000020);
	put_section(image + SECTIONS + 40, ".reloc", 1, 12, 0x42000040);
	memcpy(text, code, sizeof(code));
	memcpy(text + 0x10, tag, n < 0xef ? n : 0xef);
	ibb_put_le32(reloc, PAGE); /* a block for .text that holds two padding entries */
	ibb_put_le32(reloc + 4, 12);
	ibb_put_le32(image + OPTIONAL + 64, checksum(image, sizeof(image)));
	return ibb_buf_append(ret, image, sizeof(image));
}
