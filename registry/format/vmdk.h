/* What the kinds of VMDK share ("Virtual Disk Format 5.0", part "Hosted Sparse Extents"): the header, the descriptor as
 * text, and that a disk is cut into grains of 64 KiB. Little-endian, all places in sectors. */
#pragma once

#include <ingot/format.h>

#define VMDK_SECTOR ((guint64)512)
#define VMDK_GRAIN ((guint64)128) /* sectors */
#define VMDK_GRAIN_SIZE (VMDK_GRAIN * VMDK_SECTOR)
#define VMDK_TABLE_ENTRIES 512u /* of a grain table */
#define VMDK_TABLE_SECTORS 4u
#define VMDK_DESCRIPTOR_SECTORS 20u
#define VMDK_MAGIC 0x564d444bu /* "KDMV" */

typedef struct {
    guint32 magic, version, flags;
    guint64 capacity, grain, descriptor, descriptor_size;
    guint32 table_entries;
    guint64 redundant_directory, directory, overhead;
    guint8 unclean;
    guint8 line_ends[4];
    guint16 compression;
    guint8 rest[433];
} __attribute__((packed)) VmdkHeader;
G_STATIC_ASSERT(sizeof(VmdkHeader) == VMDK_SECTOR);

/* Of the disk, in sectors: whole grains. */
guint64 vmdk_capacity(const IngotIndex *index);
/* How many grain tables that takes. */
guint64 vmdk_tables(const IngotIndex *index);
/* With all that the kinds have alike. */
VmdkHeader vmdk_header(const IngotIndex *index);
/* type: createType. Behind the header. */
void vmdk_add_descriptor(IngotLayout *layout, const IngotFormatInput *input, const char *type);
/* For IngotFormat: a place is 32 bits of sectors. */
gboolean vmdk_can(const IngotFormatInput *input, GError **error);
/* Of a format that describes the machine as well. */
gboolean vmdk_can_machine(const IngotFormatInput *input, GError **error);
const char *vmdk_stream_codec(void); /* of vmdk-stream, and of what has one in it */
