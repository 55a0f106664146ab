/* qcow2, version 3 (docs/interop/qcow2.txt of QEMU): header cluster, refcount table, refcount blocks, L1 table, L2
 * tables (only those that are needed), then the clusters with data in the disk's order. */
#include <string.h>

#include "format/all.h"
#include "format/extents.h"

#define CLUSTER (64u << 10) /* bytes */
#define CLUSTER_BITS 16
#define VERSION 3
#define ENTRIES (CLUSTER / 8)                /* of an L1, L2 or refcount table in one cluster */
#define REFCOUNTS (CLUSTER / 2)              /* of 16 bits in one refcount block */
#define REFCOUNT_ORDER 4                     /* 1 << 4 bits */
#define COPIED (G_GUINT64_CONSTANT(1) << 63) /* the refcount is exactly one */
#define HEADER_LENGTH 104

typedef struct {
    guint64 disk_size;
    GArray *extents;                                             /* of clusters with data */
    guint64 l1_entries;                                          /* one for each L2 table that the disk could have */
    guint64 refcount_table, refcount_blocks, l1, l2, data_count; /* the file's parts after the header, in clusters */
} Qcow2;

static guint64 first_data(const Qcow2 *qcow2)
{
    return 1 + qcow2->refcount_table + qcow2->refcount_blocks + qcow2->l1 + qcow2->l2;
}

/* How many L2 tables map at least one cluster. */
static guint64 count_tables(const Qcow2 *qcow2)
{
    guint64 tables = 0, counted = 0; /* tables before `counted` are */
    for (guint i = 0; i < qcow2->extents->len; i++) {
        const Extent *extent = &g_array_index(qcow2->extents, Extent, i);
        guint64 from = MAX(extent->first / ENTRIES, counted);
        guint64 to = extents_divide_up(extent->first + extent->count, ENTRIES);
        tables += to - MIN(from, to);
        counted = MAX(counted, to);
    }
    return tables;
}

/* Refcount blocks count themselves too: grown until they cover the whole file. */
static void size_refcounts(Qcow2 *qcow2)
{
    guint64 before;
    do {
        before = qcow2->refcount_blocks;
        qcow2->refcount_blocks = extents_divide_up(first_data(qcow2) + qcow2->data_count, REFCOUNTS);
        qcow2->refcount_table = extents_divide_up(qcow2->refcount_blocks, ENTRIES);
    } while (qcow2->refcount_blocks != before);
}

static void put32(guint8 *at, guint32 value)
{
    guint32 big = GUINT32_TO_BE(value);
    memcpy(at, &big, sizeof big);
}

static void add_header(IngotLayout *layout, const Qcow2 *qcow2)
{
    guint8 header[HEADER_LENGTH + 8] = "QFI\xfb"; /* and 8 bytes of zeros: the end of header extensions */
    guint64 size = GUINT64_TO_BE(extents_divide_up(qcow2->disk_size, 512) * 512);
    guint64 l1 = GUINT64_TO_BE((1 + qcow2->refcount_table + qcow2->refcount_blocks) * CLUSTER);
    put32(header + 4, VERSION);
    put32(header + 20, CLUSTER_BITS);
    memcpy(header + 24, &size, sizeof size);
    put32(header + 36, (guint32)qcow2->l1_entries);
    memcpy(header + 40, &l1, sizeof l1);
    put32(header + 52, CLUSTER); /* the refcount table's place, low half */
    put32(header + 56, (guint32)qcow2->refcount_table);
    put32(header + 96, REFCOUNT_ORDER);
    put32(header + 100, HEADER_LENGTH);
    ingot_layout_add_bytes(layout, header, sizeof header);
    ingot_layout_pad(layout, CLUSTER);
}

/* Every cluster of the file is used once; the table's entries are the blocks that follow it. */
static void add_refcounts(IngotLayout *layout, const Qcow2 *qcow2)
{
    guint64 clusters = first_data(qcow2) + qcow2->data_count;
    g_autofree guint64 *table = g_new(guint64, qcow2->refcount_blocks);
    g_autofree guint16 *counts = g_new0(guint16, qcow2->refcount_blocks * REFCOUNTS);
    for (guint64 i = 0; i < qcow2->refcount_blocks; i++) {
        table[i] = GUINT64_TO_BE((1 + qcow2->refcount_table + i) * CLUSTER);
    }
    for (guint64 i = 0; i < clusters; i++) {
        counts[i] = GUINT16_TO_BE(1);
    }
    ingot_layout_add_bytes(layout, table, qcow2->refcount_blocks * sizeof *table);
    ingot_layout_pad(layout, CLUSTER);
    ingot_layout_add_bytes(layout, counts, qcow2->refcount_blocks * CLUSTER);
}

/* Both levels: L1 names the L2 tables that there are, in order. */
static void add_tables(IngotLayout *layout, const Qcow2 *qcow2)
{
    guint64 l2_start = 1 + qcow2->refcount_table + qcow2->refcount_blocks + qcow2->l1, place = first_data(qcow2);
    g_autofree guint64 *l1 = g_new0(guint64, qcow2->l1 * ENTRIES);
    g_autofree guint64 *l2 = g_new0(guint64, qcow2->l2 * ENTRIES);
    guint64 tables = 0;
    for (guint i = 0; i < qcow2->extents->len; i++) {
        const Extent *extent = &g_array_index(qcow2->extents, Extent, i);
        for (guint64 cluster = extent->first; cluster < extent->first + extent->count; cluster++) {
            guint64 *entry = &l1[cluster / ENTRIES];
            if (*entry == 0) {
                *entry = GUINT64_TO_BE((l2_start + tables++) * CLUSTER | COPIED);
            }
            l2[(tables - 1) * ENTRIES + cluster % ENTRIES] = GUINT64_TO_BE(place++ * CLUSTER | COPIED);
        }
    }
    ingot_layout_add_bytes(layout, l1, qcow2->l1 * CLUSTER);
    ingot_layout_add_bytes(layout, l2, qcow2->l2 * CLUSTER);
}

static GPtrArray *files(const IngotFormatInput *input, GError **error)
{
    (void)error;
    g_autoptr(GArray) extents = extents_find(ingot_disk_index(input->disk), CLUSTER);
    Qcow2 qcow2 = {.disk_size = ingot_disk_index(input->disk)->disk_size,
                   .extents = extents,
                   .data_count = extents_count(extents)};
    qcow2.l1_entries = extents_divide_up(extents_divide_up(qcow2.disk_size, CLUSTER), ENTRIES);
    qcow2.l1 = extents_divide_up(qcow2.l1_entries, ENTRIES);
    qcow2.l2 = count_tables(&qcow2);
    size_refcounts(&qcow2);
    IngotLayout *layout = ingot_layout_new();
    add_header(layout, &qcow2);
    add_refcounts(layout, &qcow2);
    add_tables(layout, &qcow2);
    extents_add(layout, extents, CLUSTER, qcow2.disk_size);
    GPtrArray *list = ingot_format_files_new();
    ingot_format_files_add(list, "disk.qcow2", layout);
    return list;
}

const IngotFormat format_qcow2 = {"qcow2", "QEMU, libvirt, Proxmox, OpenStack", files};
