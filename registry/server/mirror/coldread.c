#include "server/mirror/coldread.h"

#include <ingot/error.h>
#include <string.h>

#include "remote/relay.h"

#define STALL_SECONDS 10
#define DIRECT_LONG (2 * G_TIME_SPAN_SECOND) /* after which what has come is passed on */
#define LAST_LONG (3 * G_TIME_SPAN_SECOND)   /* for which a copy that goes on is given time to end */

struct ColdReader {
    Storage *storage;
    Upstream *upstream;
    char *name;
    OciDigest named;
    guint64 size;
    Cold *cold;         /* NULL: it is not needed any more */
    StorageBlob *blob;  /* once it is here; NULL: it is not */
    IngotHasher *given; /* all that was read, which began at the first byte and goes to `next`; NULL: it did not */
    guint64 next;
    gint64 waits;     /* monotonic: since when nothing has come; 0: something has */
    gboolean ignores; /* the upstream does not answer range requests */
    gboolean lined;   /* it stands in line for a turn there */
};

ColdReader *cold_reader_new(Storage *storage, Upstream *upstream, const char *name, const OciDigest *named,
                            guint64 size, Cold *cold)
{
    ColdReader *reader = g_new0(ColdReader, 1);
    cold_watch(cold);
    *reader = (ColdReader){
        .storage = storage, .upstream = upstream, .name = g_strdup(name), .named = *named, .size = size, .cold = cold};
    return reader;
}

/* Whoever does not ask for a turn again holds up those behind. */
static void reader_leave_line(ColdReader *reader)
{
    if (reader->lined) {
        turns_leave(upstream_turns(reader->upstream), reader);
        reader->lined = FALSE;
    }
}

void cold_reader_free(ColdReader *reader)
{
    if (reader != NULL) {
        g_clear_pointer(&reader->blob, storage_blob_unref);
        ingot_hasher_free(reader->given);
        g_clear_pointer(&reader->cold, cold_leave);
        reader_leave_line(reader);
        g_free(reader->name);
        g_free(reader);
    }
}

guint64 cold_reader_size(const ColdReader *reader)
{
    return reader->size;
}

/* --- straight from the upstream --- */

typedef struct {
    guint8 *buffer;
    guint64 offset;
    gsize size, got;
    gint64 began;     /* monotonic */
    gboolean ignored; /* what comes is not what was asked for */
} Direct;

static gboolean direct_take(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    Direct *direct = user;
    direct->ignored = offset != direct->offset + direct->got;
    gsize count = direct->ignored ? 0 : MIN(size, direct->size - direct->got);
    memcpy(direct->buffer + direct->got, data, count);
    direct->got += count;
    if (count < size) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "the upstream sends what was not asked for");
        return FALSE;
    }
    if (direct->got < direct->size && g_get_monotonic_time() - direct->began > DIRECT_LONG) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "the upstream is slow");
        return FALSE;
    }
    return TRUE;
}

static gssize direct_read(ColdReader *reader, guint64 offset, void *buffer, gsize size, GError **error)
{
    Direct direct = {.buffer = buffer, .offset = offset, .size = size, .began = g_get_monotonic_time()};
    g_autoptr(GError) problem = NULL;
    IngotRemote *remote = upstream_borrow(reader->upstream, STALL_SECONDS, error);
    if (remote == NULL) {
        return -1;
    }
    g_autofree char *text = reader->named.is_sha512 ? oci_digest_to_text(&reader->named) : NULL;
    if (text != NULL) {
        ingot_remote_call(remote, &reader->named.key, text);
    }
    gboolean ok = ingot_remote_stream(remote, reader->name + strlen(upstream_prefix(reader->upstream)),
                                      &reader->named.key, offset, size, direct_take, &direct, NULL, &problem);
    upstream_give_back(reader->upstream, remote, problem);
    reader->ignores |= direct.ignored;
    if (direct.got > 0) {
        return (gssize)direct.got;
    }
    if (ok) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "%s: the upstream's blob is shorter than was said",
                    reader->name);
    } else {
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return -1;
}

/* --- from wherever it is --- */

/* A damaged one is what the copy is to mend. Whoever has found the blob is no reader of the copy any more. */
static gboolean reader_finds(ColdReader *reader)
{
    IngotDigest digest;
    if (reader->blob == NULL && cold_state(reader->cold) != COLD_COPYING &&
        storage_resolve(reader->storage, &reader->named, &digest, NULL) &&
        storage_is_whole(reader->storage, reader->name, &digest)) {
        reader->blob = storage_blob(reader->storage, reader->name, &digest, NULL);
    }
    if (reader->blob != NULL) {
        g_clear_pointer(&reader->cold, cold_leave);
    }
    return reader->blob != NULL;
}

static gssize reader_fails(const ColdReader *reader, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "%s: a blob could not be copied from the upstream",
                reader->name);
    return -1;
}

/* What the copy alone can give: all where the upstream knows no ranges. */
static gssize read_copied(ColdReader *reader, guint64 offset, void *buffer, gsize size, GError **error)
{
    gboolean ended = reader->cold != NULL && cold_state(reader->cold) >= COLD_DONE; /* before it is looked for */
    if (reader_finds(reader)) {
        return storage_blob_read(reader->blob, offset, buffer, size, error);
    }
    return ended ? reader_fails(reader, error) : 0;
}

/* Whether bytes that the copy is about to bring are still worth waiting for. */
static gboolean reader_waits(ColdReader *reader, gint64 patience)
{
    const gint64 now = g_get_monotonic_time();
    if (reader->waits == 0) {
        reader->waits = now;
    }
    return now - reader->waits < patience;
}

static gssize read_any(ColdReader *reader, guint64 offset, void *buffer, gsize size, GError **error)
{
    gint64 patience = 0;
    gsize taken = reader->cold == NULL ? 0 : cold_take(reader->cold, offset, buffer, size, &patience);
    if (taken > 0) {
        reader->waits = 0;
        return (gssize)taken;
    }
    if (reader_finds(reader) || cold_state(reader->cold) >= COLD_DONE) {
        return read_copied(reader, offset, buffer, size, error);
    }
    if (reader_waits(reader, patience)) {
        return 0;
    }
    if (reader->ignores) {
        return read_copied(reader, offset, buffer, size, error);
    }
    reader->lined = !turns_begin(upstream_turns(reader->upstream), reader);
    if (reader->lined) {
        return 0;
    }
    g_autoptr(GError) problem = NULL;
    gssize got = direct_read(reader, offset, buffer, size, &problem);
    turns_end(upstream_turns(reader->upstream));
    if (got < 0 && reader->ignores) {
        return read_copied(reader, offset, buffer, size, error);
    }
    if (got < 0) {
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return got;
}

/* The last byte: from what the copy ends with where that is soon, else from wherever it is; what a SHA-512 names is
 * known by the copy alone. */
static gssize read_end(ColdReader *reader, guint64 offset, guint8 *buffer, GError **error)
{
    gssize got = read_copied(reader, offset, buffer, 1, error);
    gboolean copying = got == 0 && cold_state(reader->cold) == COLD_COPYING;
    return got != 0 || reader->named.is_sha512 || reader_waits(reader, copying ? LAST_LONG : 0)
               ? got
               : read_any(reader, offset, buffer, 1, error);
}

/* The last byte of the whole, which is given out if all has the digest with it. */
static gssize read_last(ColdReader *reader, guint64 offset, guint8 *buffer, GError **error)
{
    IngotDigest digest, right = reader->named.key;
    gssize got = read_end(reader, offset, buffer, error);
    if (got <= 0) {
        return got;
    }
    ingot_hasher_add(reader->given, buffer, 1);
    ingot_hasher_finish(reader->given, &digest);
    g_clear_pointer(&reader->given, ingot_hasher_free);
    if (reader->named.is_sha512 && !storage_resolve(reader->storage, &reader->named, &right, error)) {
        return -1;
    }
    if (!ingot_digest_equal(&digest, &right)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: the upstream gave wrong bytes of a blob",
                    reader->name);
        return -1;
    }
    return got;
}

static gssize read_whole(ColdReader *reader, guint64 offset, void *buffer, gsize size, GError **error)
{
    gssize got = read_any(reader, offset, buffer, (gsize)MIN((guint64)size, reader->size - 1 - offset), error);
    if (got > 0) {
        ingot_hasher_add(reader->given, buffer, (gsize)got);
    }
    return got;
}

gssize cold_reader_read(ColdReader *reader, guint64 offset, void *buffer, gsize size, GError **error)
{
    if (offset >= reader->size) {
        return reader_fails(reader, error);
    }
    if (offset == 0 || offset != reader->next) {
        g_clear_pointer(&reader->given, ingot_hasher_free);
        reader->given = offset == 0 ? ingot_hasher_new() : NULL;
    }
    gssize got = reader->given == NULL
                     ? read_any(reader, offset, buffer, (gsize)MIN((guint64)size, reader->size - offset), error)
                 : offset == reader->size - 1 ? read_last(reader, offset, buffer, error)
                                              : read_whole(reader, offset, buffer, size, error);
    if (got != 0) {
        reader_leave_line(reader);
    }
    reader->next = offset + (got > 0 ? (guint64)got : 0);
    return got;
}
