#include "image/qcow2.h"

#include <string.h>

#define CLUSTER_BITS 16
#define ENTRIES (QCOW2_CLUSTER / 8)          /* of an L1, L2 or refcount table in one cluster */
#define REFCOUNTS (QCOW2_CLUSTER / 2)        /* of 16 bits in one refcount block */
#define COPIED (G_GUINT64_CONSTANT(1) << 63) /* the refcount is exactly one */
#define HEADER_LENGTH 104

void qcow2_map_free(Qcow2Map *map)
{
    if (map != NULL) {
        g_clear_pointer(&map->metadata, g_bytes_unref);
        g_array_unref(map->clusters);
        g_free(map);
    }
}

static guint64 divide_up(guint64 value, guint64 by)
{
    return (value + by - 1) / by;
}

static void put32(guint8 *at, guint32 value)
{
    guint32 big = GUINT32_TO_BE(value);
    memcpy(at, &big, sizeof big);
}

static void put64(guint8 *at, guint64 value)
{
    guint64 big = GUINT64_TO_BE(value);
    memcpy(at, &big, sizeof big);
}

/* Marks every guest cluster that a chunk touches with 1; returns how many there are. */
static guint64 mark_used(const IngotIndex *index, GArray *clusters)
{
    guint64 used = 0;
    for (guint i = 0; i < index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        if (chunk->hole) {
            continue;
        }
        guint64 last = (chunk->offset + chunk->length - 1) / QCOW2_CLUSTER;
        for (guint64 c = chunk->offset / QCOW2_CLUSTER; c <= last; c++) {
            guint64 *mark = &g_array_index(clusters, guint64, c);
            used += *mark == 0;
            *mark = 1;
        }
    }
    return used;
}

/* Sizes of the parts in clusters, in their order in the file. */
typedef struct {
    guint64 refcount_table, refcount_blocks, l1, l2, data;
} Parts;

static guint64 metadata_clusters(const Parts *parts)
{
    return 1 + parts->refcount_table + parts->refcount_blocks + parts->l1 + parts->l2;
}

/* Refcount blocks count themselves too: grown until they cover the whole file. */
static void size_refcounts(Parts *parts)
{
    guint64 blocks;
    do {
        blocks = parts->refcount_blocks;
        parts->refcount_blocks = divide_up(metadata_clusters(parts) + parts->data, REFCOUNTS);
        parts->refcount_table = divide_up(parts->refcount_blocks, ENTRIES);
    } while (parts->refcount_blocks != blocks);
}

static void write_header(guint8 *out, guint64 disk_size, const Parts *parts, guint64 l1_entries)
{
    memcpy(out, "QFI\xfb", 4);
    put32(out + 4, 3);
    put32(out + 20, CLUSTER_BITS);
    put64(out + 24, divide_up(disk_size, 512) * 512);
    put32(out + 36, (guint32)l1_entries);
    put64(out + 40, (1 + parts->refcount_table + parts->refcount_blocks) * QCOW2_CLUSTER);
    put64(out + 48, QCOW2_CLUSTER);
    put32(out + 56, (guint32)parts->refcount_table);
    put32(out + 96, 4); /* refcounts of 1 << 4 bits */
    put32(out + 100, HEADER_LENGTH);
}

static void write_refcounts(guint8 *out, const Parts *parts)
{
    guint8 *blocks = out + (1 + parts->refcount_table) * QCOW2_CLUSTER;
    for (guint64 i = 0; i < parts->refcount_blocks; i++) {
        put64(out + QCOW2_CLUSTER + i * 8, (1 + parts->refcount_table + i) * QCOW2_CLUSTER);
    }
    for (guint64 i = 0; i < metadata_clusters(parts) + parts->data; i++) {
        blocks[i * 2 + 1] = 1;
    }
}

/* Gives used clusters their places; writes the L1 table and one L2 table per L1 entry. */
static void write_tables(guint8 *out, const Parts *parts, guint64 l1_entries, GArray *clusters)
{
    guint64 l1 = (1 + parts->refcount_table + parts->refcount_blocks) * QCOW2_CLUSTER;
    guint64 l2 = l1 + parts->l1 * QCOW2_CLUSTER;
    guint64 next = metadata_clusters(parts) * QCOW2_CLUSTER;
    for (guint64 i = 0; i < l1_entries; i++) {
        put64(out + l1 + i * 8, (l2 + i * QCOW2_CLUSTER) | COPIED);
    }
    for (guint c = 0; c < clusters->len; c++) {
        guint64 *place = &g_array_index(clusters, guint64, c);
        if (*place != 0) {
            *place = next;
            put64(out + l2 + (guint64)c * 8, next | COPIED);
            next += QCOW2_CLUSTER;
        }
    }
}

Qcow2Map *qcow2_map_new(const IngotIndex *index)
{
    Qcow2Map *map = g_new0(Qcow2Map, 1);
    guint64 count = divide_up(index->disk_size, QCOW2_CLUSTER);
    map->clusters = g_array_new(FALSE, TRUE, sizeof(guint64));
    g_array_set_size(map->clusters, (guint)count);
    guint64 l1_entries = MAX(divide_up(count, ENTRIES), 1);
    Parts parts = {.l1 = divide_up(l1_entries, ENTRIES), .l2 = l1_entries, .data = mark_used(index, map->clusters)};
    size_refcounts(&parts);
    gsize size = metadata_clusters(&parts) * QCOW2_CLUSTER;
    guint8 *out = g_malloc0(size);
    write_header(out, index->disk_size, &parts, l1_entries);
    write_refcounts(out, &parts);
    write_tables(out, &parts, l1_entries, map->clusters);
    map->metadata = g_bytes_new_take(out, size);
    map->file_size = size + parts.data * QCOW2_CLUSTER;
    return map;
}
