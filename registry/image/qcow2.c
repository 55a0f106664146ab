#include "image/qcow2.h"

#include <ingot/file.h>
#include <string.h>

#define VERSION 3
#define CLUSTER_BITS 16
#define ENTRIES (QCOW2_CLUSTER / 8)          /* of an L1, L2 or refcount table in one cluster */
#define REFCOUNTS (QCOW2_CLUSTER / 2)        /* of 16 bits in one refcount block */
#define REFCOUNT_ORDER 4                     /* 1 << 4 bits */
#define COPIED (G_GUINT64_CONSTANT(1) << 63) /* the refcount is exactly one */
#define HEADER_LENGTH 104

/* Guest clusters first, first + 1, … lie in the file from data cluster `place` on. */
typedef struct {
    guint64 first, count, place;
} Run;

struct Qcow2 {
    guint64 disk_size;
    GArray *runs;                                          /* of Run, in the disk's order */
    guint64 l1_entries;                                    /* one for each L2 table that the disk could have */
    guint64 refcount_table, refcount_blocks, l1, l2, data; /* the file's parts after the header, in clusters */
};

static guint64 divide_up(guint64 value, guint64 by)
{
    return value / by + (value % by != 0);
}

static guint64 first_data(const Qcow2 *qcow2)
{
    return 1 + qcow2->refcount_table + qcow2->refcount_blocks + qcow2->l1 + qcow2->l2;
}

/* Adds the clusters that a chunk touches; its first one may be the last of the run before. */
static void add_chunk(Qcow2 *qcow2, const IngotChunk *chunk)
{
    guint64 from = chunk->offset / QCOW2_CLUSTER, to = divide_up(chunk->offset + chunk->length, QCOW2_CLUSTER);
    Run *last = qcow2->runs->len == 0 ? NULL : &g_array_index(qcow2->runs, Run, qcow2->runs->len - 1);
    if (last == NULL || from > last->first + last->count) {
        Run run = {.first = from, .place = qcow2->data};
        g_array_append_val(qcow2->runs, run);
        last = &g_array_index(qcow2->runs, Run, qcow2->runs->len - 1);
    }
    guint64 count = to - last->first;
    qcow2->data += count - last->count;
    last->count = count;
}

/* How many L2 tables map at least one cluster. */
static guint64 count_tables(const Qcow2 *qcow2)
{
    guint64 tables = 0, counted = 0; /* tables before `counted` are */
    for (guint i = 0; i < qcow2->runs->len; i++) {
        const Run *run = &g_array_index(qcow2->runs, Run, i);
        guint64 from = MAX(run->first / ENTRIES, counted), to = divide_up(run->first + run->count, ENTRIES);
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
        qcow2->refcount_blocks = divide_up(first_data(qcow2) + qcow2->data, REFCOUNTS);
        qcow2->refcount_table = divide_up(qcow2->refcount_blocks, ENTRIES);
    } while (qcow2->refcount_blocks != before);
}

Qcow2 *qcow2_new(const IngotIndex *index)
{
    Qcow2 *qcow2 = g_new0(Qcow2, 1);
    qcow2->disk_size = index->disk_size;
    qcow2->runs = g_array_new(FALSE, FALSE, sizeof(Run));
    for (guint i = 0; i < index->chunks->len; i++) {
        if (!ingot_index_chunk(index, i)->hole) {
            add_chunk(qcow2, ingot_index_chunk(index, i));
        }
    }
    qcow2->l1_entries = divide_up(divide_up(index->disk_size, QCOW2_CLUSTER), ENTRIES);
    qcow2->l1 = divide_up(qcow2->l1_entries, ENTRIES);
    qcow2->l2 = count_tables(qcow2);
    size_refcounts(qcow2);
    return qcow2;
}

void qcow2_free(Qcow2 *qcow2)
{
    if (qcow2 != NULL) {
        g_array_unref(qcow2->runs);
        g_free(qcow2);
    }
}

guint64 qcow2_file_size(const Qcow2 *qcow2)
{
    return (first_data(qcow2) + qcow2->data) * QCOW2_CLUSTER;
}

guint64 qcow2_place(const Qcow2 *qcow2, guint64 offset)
{
    guint low = 0, high = qcow2->runs->len;
    while (high - low > 1) {
        guint middle = low + (high - low) / 2;
        if (g_array_index(qcow2->runs, Run, middle).first <= offset / QCOW2_CLUSTER) {
            low = middle;
        } else {
            high = middle;
        }
    }
    const Run *run = &g_array_index(qcow2->runs, Run, low);
    return (first_data(qcow2) + run->place) * QCOW2_CLUSTER + (offset - run->first * QCOW2_CLUSTER);
}

/* --- writing; all integers are big-endian --- */

typedef struct {
    int fd;
    const char *name;
} File;

static void put32(guint8 *at, guint32 value)
{
    guint32 big = GUINT32_TO_BE(value);
    memcpy(at, &big, sizeof big);
}

static gboolean write_header(const Qcow2 *qcow2, const File *file, GError **error)
{
    guint8 header[HEADER_LENGTH + 8] = "QFI\xfb"; /* and 8 bytes of zeros: the end of header extensions */
    guint64 size = GUINT64_TO_BE(divide_up(qcow2->disk_size, 512) * 512);
    guint64 l1 = GUINT64_TO_BE((1 + qcow2->refcount_table + qcow2->refcount_blocks) * QCOW2_CLUSTER);
    put32(header + 4, VERSION);
    put32(header + 20, CLUSTER_BITS);
    memcpy(header + 24, &size, sizeof size);
    put32(header + 36, (guint32)qcow2->l1_entries);
    memcpy(header + 40, &l1, sizeof l1);
    put32(header + 52, QCOW2_CLUSTER); /* the refcount table's place, low half */
    put32(header + 56, (guint32)qcow2->refcount_table);
    put32(header + 96, REFCOUNT_ORDER);
    put32(header + 100, HEADER_LENGTH);
    return ingot_file_pwrite(file->fd, header, sizeof header, 0, file->name, error);
}

/* Every cluster of the file is used once; the table's entries are the blocks that follow it. */
static gboolean write_refcounts(const Qcow2 *qcow2, const File *file, GError **error)
{
    guint64 clusters = first_data(qcow2) + qcow2->data;
    guint16 block[REFCOUNTS];
    for (guint64 i = 0; i < qcow2->refcount_blocks; i++) {
        guint64 place = (1 + qcow2->refcount_table + i) * QCOW2_CLUSTER, entry = GUINT64_TO_BE(place);
        for (guint k = 0; k < REFCOUNTS; k++) {
            block[k] = GUINT16_TO_BE(i * REFCOUNTS + k < clusters);
        }
        if (!ingot_file_pwrite(file->fd, &entry, sizeof entry, QCOW2_CLUSTER + i * 8, file->name, error) ||
            !ingot_file_pwrite(file->fd, block, sizeof block, place, file->name, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Writes table number `number` of those that there are, which maps guest clusters from `guest` on; names it in L1. */
static gboolean write_table(const Qcow2 *qcow2, const File *file, guint64 guest, guint64 number, const guint64 *table,
                            GError **error)
{
    guint64 l1 = 1 + qcow2->refcount_table + qcow2->refcount_blocks;
    guint64 place = (l1 + qcow2->l1 + number) * QCOW2_CLUSTER, entry = GUINT64_TO_BE(place | COPIED);
    return ingot_file_pwrite(file->fd, table, QCOW2_CLUSTER, place, file->name, error) &&
           ingot_file_pwrite(file->fd, &entry, sizeof entry, l1 * QCOW2_CLUSTER + guest / ENTRIES * 8, file->name,
                             error);
}

static gboolean write_tables(const Qcow2 *qcow2, const File *file, GError **error)
{
    g_autofree guint64 *table = g_new0(guint64, ENTRIES);
    guint64 number = 0, guest = 0; /* of the table being filled */
    gboolean filled = FALSE;
    for (guint i = 0; i < qcow2->runs->len; i++) {
        const Run *run = &g_array_index(qcow2->runs, Run, i);
        for (guint64 k = 0; k < run->count; k++) {
            guint64 cluster = run->first + k;
            if (filled && cluster / ENTRIES != guest / ENTRIES) {
                if (!write_table(qcow2, file, guest, number++, table, error)) {
                    return FALSE;
                }
                memset(table, 0, QCOW2_CLUSTER);
            }
            guest = cluster;
            filled = TRUE;
            table[cluster % ENTRIES] = GUINT64_TO_BE((first_data(qcow2) + run->place + k) * QCOW2_CLUSTER | COPIED);
        }
    }
    return !filled || write_table(qcow2, file, guest, number, table, error);
}

gboolean qcow2_write_metadata(const Qcow2 *qcow2, int fd, const char *name, GError **error)
{
    File file = {fd, name};
    return write_header(qcow2, &file, error) && write_refcounts(qcow2, &file, error) &&
           write_tables(qcow2, &file, error);
}
