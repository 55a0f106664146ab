/* qcow2, version 3 (docs/interop/qcow2.txt of QEMU): header cluster, refcount table, refcount blocks, L1 table, L2
 * tables (only those that are needed), then the clusters with data in the disk's order: as they are, or each
 * compressed by zstd, one behind the other. (The disk's own frames can't stand there: QEMU wants clusters of one size,
 * chunks are cut by their content.) */
#include <string.h>

#include "format/all.h"
#include "format/input.h"
#include "format/measure.h"
#include "format/segments.h"
#include "image/encoder.h"

#define CLUSTER (64u << 10) /* bytes */
#define CLUSTER_BITS 16
#define VERSION 3
#define ENTRIES (CLUSTER / 8)                /* of an L1, L2 or refcount table in one cluster */
#define REFCOUNTS (CLUSTER / 2)              /* of 16 bits in one refcount block */
#define REFCOUNT_ORDER 4                     /* 1 << 4 bits */
#define COPIED (G_GUINT64_CONSTANT(1) << 63) /* the refcount is exactly one */
#define COMPRESSED (G_GUINT64_CONSTANT(1) << 62)
#define SECTORS_SHIFT (62 - (CLUSTER_BITS - 8)) /* in the L2 entry of a compressed cluster */
#define SECTOR 512u
#define HEADER_LENGTH 104
#define HEADER_LENGTH_ZSTD 112      /* with the compression type, padded to 8 */
#define INCOMPATIBLE_COMPRESSION 8u /* a feature bit: the type is another than zlib */
#define TYPE_ZSTD 1
#define CODED_BOUND (CLUSTER + 1024) /* bytes: more than zstd adds to what it can't compress */

typedef struct {
    guint64 disk_size;
    GArray *extents;                                 /* of clusters with data */
    guint64 count;                                   /* of those */
    const guint32 *sizes;                            /* of each in the file, bytes; NULL: as they are */
    guint64 *places;                                 /* of each, from the first data cluster on, bytes */
    guint64 data_clusters;                           /* that they take in the file */
    guint64 l1_entries;                              /* one for each L2 table that the disk could have */
    guint64 refcount_table, refcount_blocks, l1, l2; /* the file's parts after the header, in clusters */
} Qcow2;

static guint64 first_data(const Qcow2 *qcow2)
{
    return 1 + qcow2->refcount_table + qcow2->refcount_blocks + qcow2->l1 + qcow2->l2;
}

static guint32 size_of(const Qcow2 *qcow2, guint64 i)
{
    return qcow2->sizes == NULL ? CLUSTER : qcow2->sizes[i];
}

/* What is not compressed stands in a cluster of its own. *at: where the one before has ended. */
static guint64 next_place(guint64 *at, guint32 size)
{
    guint64 place = size == CLUSTER ? extents_divide_up(*at, CLUSTER) * CLUSTER : *at;
    *at = place + size;
    return place;
}

static void place_clusters(Qcow2 *qcow2)
{
    guint64 at = 0;
    qcow2->places = g_new(guint64, qcow2->count);
    for (guint64 i = 0; i < qcow2->count; i++) {
        qcow2->places[i] = next_place(&at, size_of(qcow2, i));
    }
    qcow2->data_clusters = extents_divide_up(at, CLUSTER);
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
        qcow2->refcount_blocks = extents_divide_up(first_data(qcow2) + qcow2->data_clusters, REFCOUNTS);
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
    guint8 header[HEADER_LENGTH_ZSTD + 8] = "QFI\xfb"; /* and 8 bytes of zeros: the end of header extensions */
    guint64 size = GUINT64_TO_BE(extents_divide_up(qcow2->disk_size, SECTOR) * SECTOR);
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
    if (qcow2->sizes != NULL) {
        put32(header + 76, INCOMPATIBLE_COMPRESSION); /* the low half */
        put32(header + 100, HEADER_LENGTH_ZSTD);
        header[104] = TYPE_ZSTD;
    }
    ingot_layout_add_bytes(layout, header, sizeof header);
    ingot_layout_pad(layout, CLUSTER);
}

/* A cluster of the file is used once, or by each compressed one that has a part in it; the table's entries are the
 * blocks that follow it. */
static void add_refcounts(IngotLayout *layout, const Qcow2 *qcow2)
{
    guint64 data = first_data(qcow2);
    g_autofree guint64 *table = g_new(guint64, qcow2->refcount_blocks);
    g_autofree guint16 *counts = g_new0(guint16, qcow2->refcount_blocks * REFCOUNTS);
    for (guint64 i = 0; i < qcow2->refcount_blocks; i++) {
        table[i] = GUINT64_TO_BE((1 + qcow2->refcount_table + i) * CLUSTER);
    }
    for (guint64 i = 0; i < data; i++) {
        counts[i] = 1;
    }
    for (guint64 i = 0; i < qcow2->count; i++) {
        guint64 last = (qcow2->places[i] + size_of(qcow2, i) - 1) / CLUSTER;
        for (guint64 k = qcow2->places[i] / CLUSTER; k <= last; k++) {
            counts[data + k]++;
        }
    }
    for (guint64 i = 0; i < data + qcow2->data_clusters; i++) {
        counts[i] = GUINT16_TO_BE(counts[i]);
    }
    ingot_layout_add_bytes(layout, table, qcow2->refcount_blocks * sizeof *table);
    ingot_layout_pad(layout, CLUSTER);
    ingot_layout_add_bytes(layout, counts, qcow2->refcount_blocks * CLUSTER);
}

static guint64 l2_entry(const Qcow2 *qcow2, guint64 i)
{
    guint64 place = first_data(qcow2) * CLUSTER + qcow2->places[i], size = size_of(qcow2, i);
    guint64 further = (place + size - 1) / SECTOR - place / SECTOR; /* sectors, besides the one it begins in */
    return size == CLUSTER ? place | COPIED : place | COMPRESSED | further << SECTORS_SHIFT;
}

/* Both levels: L1 names the L2 tables that there are, in order. */
static void add_tables(IngotLayout *layout, const Qcow2 *qcow2)
{
    guint64 l2_start = 1 + qcow2->refcount_table + qcow2->refcount_blocks + qcow2->l1, done = 0;
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
            l2[(tables - 1) * ENTRIES + cluster % ENTRIES] = GUINT64_TO_BE(l2_entry(qcow2, done++));
        }
    }
    ingot_layout_add_bytes(layout, l1, qcow2->l1 * CLUSTER);
    ingot_layout_add_bytes(layout, l2, qcow2->l2 * CLUSTER);
}

/* --- compressed clusters --- */

static const char *codec_name(void)
{
    static char *name;
    static gsize once;
    if (g_once_init_enter(&once)) {
        name = g_strdelimit(g_strdup(ingot_encoder_name()), " ", '-');
        g_once_init_leave(&once, 1);
    }
    return name;
}

static gpointer codec_start(void)
{
    g_assert(ingot_encoder_bound(CLUSTER) <= CODED_BOUND);
    return ingot_encoder_new();
}

static void codec_end(gpointer state)
{
    ingot_encoder_free(state);
}

/* What does not get smaller stays as it is: a whole cluster. */
static guint32 codec_encode(gpointer state, guint64 offset, const void *data, void *out)
{
    (void)offset;
    gsize size = ingot_encoder_frame(state, data, CLUSTER, out);
    if (size < CLUSTER) {
        return (guint32)size;
    }
    memcpy(out, data, CLUSTER);
    return CLUSTER;
}

static const Codec cluster_codec = {.name = codec_name,
                                    .block = CLUSTER,
                                    .bound = CODED_BOUND,
                                    .start = codec_start,
                                    .end = codec_end,
                                    .encode = codec_encode};

static void add_coded(IngotLayout *layout, const Qcow2 *qcow2, guint64 base)
{
    guint64 start = ingot_layout_size(layout), done = 0;
    for (guint i = 0; i < qcow2->extents->len; i++) {
        const Extent *extent = &g_array_index(qcow2->extents, Extent, i);
        for (guint64 cluster = extent->first; cluster < extent->first + extent->count; cluster++, done++) {
            ingot_layout_add_zeros(layout, start + qcow2->places[done] - ingot_layout_size(layout));
            layout_add_coded(layout, &cluster_codec, base + cluster * CLUSTER, qcow2->sizes[done]);
        }
    }
    ingot_layout_pad(layout, CLUSTER);
}

/* --- the file --- */

static Qcow2 qcow2_of(const IngotIndex *index, GArray *extents, const guint32 *sizes)
{
    Qcow2 qcow2 = {.disk_size = index->disk_size, .extents = extents, .count = extents_count(extents), .sizes = sizes};
    qcow2.l1_entries = extents_divide_up(extents_divide_up(qcow2.disk_size, CLUSTER), ENTRIES);
    qcow2.l1 = extents_divide_up(qcow2.l1_entries, ENTRIES);
    qcow2.l2 = count_tables(&qcow2);
    return qcow2;
}

static IngotLayout *lay_out(const IngotFormatInput *input, GArray *extents, const guint32 *sizes)
{
    Qcow2 qcow2 = qcow2_of(input_index(input), extents, sizes);
    place_clusters(&qcow2);
    size_refcounts(&qcow2);
    IngotLayout *layout = ingot_layout_new();
    add_header(layout, &qcow2);
    add_refcounts(layout, &qcow2);
    add_tables(layout, &qcow2);
    if (sizes == NULL) {
        extents_add(layout, extents, CLUSTER, input);
    } else {
        add_coded(layout, &qcow2, input_base(input));
    }
    g_free(qcow2.places);
    return layout;
}

static GPtrArray *plain_files(const IngotFormatInput *input, GError **error)
{
    (void)error;
    g_autofree char *file = input_file(input, "qcow2");
    g_autoptr(GArray) extents = extents_find(input_index(input), CLUSTER);
    return ingot_format_files_one(file, lay_out(input, extents, NULL));
}

/* Where compressed clusters are, while they are. */
typedef struct {
    guint64 data; /* where they begin in the file */
    guint64 at;   /* behind that */
} Coded;

static guint64 next_coded(gpointer state, guint64 cluster, guint32 size)
{
    (void)cluster;
    Coded *coded = state;
    return coded->data + next_place(&coded->at, size);
}

/* How many refcount blocks there are depends on how large it all becomes: about as large as the image's own frames. */
static Coded expect_coded(const IngotIndex *index, GArray *extents)
{
    Qcow2 qcow2 = qcow2_of(index, extents, NULL);
    qcow2.data_clusters = extents_divide_up(index->blob_size, CLUSTER);
    size_refcounts(&qcow2);
    return (Coded){.data = first_data(&qcow2) * CLUSTER};
}

static GPtrArray *zstd_files(const IngotFormatInput *input, GError **error)
{
    g_autofree char *file = input_file(input, "qcow2");
    const IngotIndex *index = input_index(input);
    g_autoptr(GArray) extents = extents_find(index, CLUSTER);
    Coded coded = expect_coded(index, extents);
    const MeasurePlaces places = {.next = next_coded, .state = &coded};
    g_autofree guint32 *sizes = measure_blocks(input, &cluster_codec, extents, &places, error);
    return sizes == NULL ? NULL : ingot_format_files_one(file, lay_out(input, extents, sizes));
}

const IngotFormat format_qcow2 = {"qcow2", "QEMU, libvirt, Proxmox, OpenStack", NULL, plain_files, NULL, 0, "qcow2"};
const IngotFormat format_qcow2_zstd = {
    "qcow2-zstd", "QEMU 5.1 and newer: compressed, to be downloaded", NULL, zstd_files, codec_name, 0, "qcow2"};
