#include "server/storage/framesum.h"

#include "server/catalogue/pieces.h"

#define SLICE (256u << 10) /* bytes that are hashed at once: the processor's cache has them */
#define SLICES 4u          /* that are read ahead of the sum */
#define LOOKED_UP 64u      /* frames that the catalogue is asked for at once */

typedef struct {
    gsize size;
    gboolean last;
    guint8 data[SLICE];
} Slice;

/* Where bytes are read from that stand one after another. */
typedef struct {
    gint64 pack; /* 0: the upload's file */
    guint64 at, length;
} Run;

/* What is read for a sum, by another thread where it is much. */
typedef struct {
    Storage *storage;
    int fd;
    const char *path;
    const SummedFrame *frames;
    guint count;
    Pack *pack;         /* the last one that was read; NULL: none yet */
    Slice *filling;     /* NULL: none */
    GAsyncQueue *empty; /* of Slice: to be filled */
    GAsyncQueue *full;  /* of Slice: to be added to the sum, in their order */
    gboolean ok;        /* all was read; nobody asks before the last slice has come */
} Reading;

/* --- reading --- */

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

static gboolean read_bytes(const Reading *reading, const Run *run, guint64 from, guint8 *data, gsize size)
{
    return run->pack == 0 ? ingot_file_pread(reading->fd, data, size, run->at + from, reading->path, NULL)
                          : pack_read(reading->pack, run->at + from, data, size, NULL);
}

static Slice *take_slice(Reading *reading)
{
    if (reading->filling == NULL) {
        reading->filling = g_async_queue_pop(reading->empty);
        reading->filling->size = 0;
        reading->filling->last = FALSE;
    }
    return reading->filling;
}

static void give_slice(Reading *reading)
{
    g_async_queue_push(reading->full, g_steal_pointer(&reading->filling));
}

/* Short runs share a slice. */
static gboolean read_run(Reading *reading, const Run *run)
{
    if (run->length > 0 && run->pack != 0 && !open_pack(reading, run->pack)) {
        return FALSE;
    }
    for (guint64 from = 0; from < run->length;) {
        Slice *slice = take_slice(reading);
        gsize size = (gsize)MIN(SLICE - slice->size, run->length - from);
        if (!read_bytes(reading, run, from, slice->data + slice->size, size)) {
            return FALSE;
        }
        slice->size += size;
        from += size;
        if (slice->size == SLICE) {
            give_slice(reading);
        }
    }
    return TRUE;
}

static gboolean read_frames(Reading *reading, const SummedFrame *frames, const PieceRow *rows, guint count)
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
        } else if (read_run(reading, &run)) {
            run = next;
        } else {
            return FALSE;
        }
    }
    return read_run(reading, &run);
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

static gboolean read_all(Reading *reading)
{
    for (guint at = 0; at < reading->count; at += LOOKED_UP) {
        const SummedFrame *frames = reading->frames + at;
        guint count = MIN(LOOKED_UP, reading->count - at);
        g_autofree PieceRow *rows = find_rows(reading->storage, frames, count);
        if (rows == NULL || !read_frames(reading, frames, rows, count)) {
            return FALSE;
        }
    }
    return TRUE;
}

void framesum_read(gpointer data, gpointer user)
{
    Reading *reading = data;
    g_autoptr(GAsyncQueue) full = g_async_queue_ref(reading->full);
    (void)user;
    reading->ok = read_all(reading);
    g_clear_pointer(&reading->pack, pack_unref);
    take_slice(reading)->last = TRUE;
    give_slice(reading); /* and with it all that the other thread has made */
}

/* --- the sum --- */

static void add_slices(Reading *reading, Midsum *sum)
{
    gboolean more = TRUE;
    while (more) {
        Slice *slice = g_async_queue_pop(reading->full);
        midsum_add(sum, slice->data, slice->size);
        more = !slice->last;
        g_async_queue_push(reading->empty, slice);
    }
}

static guint64 bytes_of(const SummedFrame *frames, guint count)
{
    guint64 sum = 0;
    for (guint i = 0; i < count; i++) {
        sum += frames[i].length;
    }
    return sum;
}

gboolean framesum_add(Storage *storage, int fd, const char *path, const SummedFrame *frames, guint count, Midsum *sum)
{
    g_autoptr(GAsyncQueue) empty = g_async_queue_new_full(g_free), full = g_async_queue_new();
    guint64 slices = bytes_of(frames, count) / SLICE + 1;
    Reading reading = {
        .storage = storage, .fd = fd, .path = path, .frames = frames, .count = count, .empty = empty, .full = full};
    for (guint64 i = 0; i < MIN(slices, SLICES); i++) {
        g_async_queue_push(empty, g_new(Slice, 1));
    }
    if (slices > SLICES) {
        g_thread_pool_push(storage->frame_readers, &reading, NULL);
    } else {
        framesum_read(&reading, NULL); /* all of it has room */
    }
    add_slices(&reading, sum);
    return reading.ok;
}
