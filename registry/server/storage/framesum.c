#include "server/storage/framesum.h"

#include "server/catalogue/pieces.h"

#define SLICE (256u << 10) /* bytes that are read at once: the processor's cache has them when they are hashed */

/* Where bytes are read from that stand one after another. */
typedef struct {
    gint64 pack; /* 0: the upload's file */
    guint64 at, length;
} Run;

typedef struct {
    Storage *storage;
    int fd;
    const char *path;
    Pack *pack; /* the last one that was read; NULL: none yet */
    guint8 *data;
    Midsum *sum;
} Reading;

/* What a lost pack holds in memory is no proof that it is there. */
static gboolean open_pack(Reading *reading, gint64 number)
{
    if (reading->pack != NULL && pack_number(reading->pack) == number) {
        return TRUE;
    }
    g_clear_pointer(&reading->pack, pack_unref);
    reading->pack = packs_get(reading->storage->packs, number, NULL);
    return reading->pack != NULL && pack_is_there(reading->pack);
}

static gboolean read_slice(const Reading *reading, const Run *run, guint64 from, gsize size)
{
    return run->pack == 0 ? ingot_file_pread(reading->fd, reading->data, size, run->at + from, reading->path, NULL)
                          : pack_read(reading->pack, run->at + from, reading->data, size, NULL);
}

static gboolean add_run(Reading *reading, const Run *run)
{
    if (run->length > 0 && run->pack != 0 && !open_pack(reading, run->pack)) {
        return FALSE;
    }
    for (guint64 from = 0; from < run->length; from += SLICE) {
        gsize size = (gsize)MIN(SLICE, run->length - from);
        if (!read_slice(reading, run, from, size)) {
            return FALSE;
        }
        midsum_add(reading->sum, reading->data, size);
    }
    return TRUE;
}

static gboolean add_frames(Reading *reading, const SummedFrame *frames, const PieceRow *rows, guint count)
{
    Run run = {0};
    for (guint i = 0; i < count; i++) {
        if (!frames[i].comes && !pieces_is_whole(&rows[i], frames[i].length)) {
            return FALSE;
        }
        Run next = {.pack = frames[i].comes ? 0 : rows[i].pack,
                    .at = frames[i].comes ? frames[i].at : rows[i].offset,
                    .length = frames[i].length};
        if (run.pack == next.pack && run.at + run.length == next.at) {
            run.length += next.length;
        } else if (add_run(reading, &run)) {
            run = next;
        } else {
            return FALSE;
        }
    }
    return add_run(reading, &run);
}

/* What the catalogue knows of the frames that stand in packs; NULL: it can't be read. */
static PieceRow *find_rows(Storage *storage, const SummedFrame *frames, guint count)
{
    g_autofree const IngotDigest **digests = g_new(const IngotDigest *, count);
    g_autofree PieceRow *rows = g_new0(PieceRow, count);
    for (guint i = 0; i < count; i++) {
        digests[i] = &frames[i].digest;
    }
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    return reader != NULL && pieces_find(reader, digests, count, rows, NULL) ? g_steal_pointer(&rows) : NULL;
}

gboolean framesum_add(Storage *storage, int fd, const char *path, const SummedFrame *frames, guint count, Midsum *sum)
{
    g_autofree PieceRow *rows = find_rows(storage, frames, count);
    g_autofree guint8 *data = g_malloc(SLICE);
    Reading reading = {.storage = storage, .fd = fd, .path = path, .data = data, .sum = sum};
    gboolean ok = rows != NULL && add_frames(&reading, frames, rows, count);
    pack_unref(reading.pack);
    return ok;
}
