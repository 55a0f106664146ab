#include "server/mirror/coldread.h"

#include <ingot/error.h>
#include <string.h>

struct ColdReader {
    Storage *storage;
    Upstream *upstream;
    char *name;
    OciDigest named;
    guint64 size;
    Cold *cold;
    StorageBlob *blob;   /* once it is here; NULL: it is not */
    gboolean from_start; /* all that was read began at the first byte, and goes to `next` */
    guint64 next;
    gboolean ignores; /* the upstream does not answer range requests */
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

void cold_reader_free(ColdReader *reader)
{
    if (reader != NULL) {
        g_clear_pointer(&reader->blob, storage_blob_unref);
        cold_unref(reader->cold);
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
    }
    return count == size;
}

static gssize direct_read(ColdReader *reader, guint64 offset, void *buffer, gsize size, GError **error)
{
    Direct direct = {.buffer = buffer, .offset = offset, .size = size};
    g_autoptr(GError) problem = NULL;
    IngotRemote *remote = upstream_borrow(reader->upstream, error);
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

static gboolean reader_finds(ColdReader *reader)
{
    IngotDigest digest;
    if (reader->blob == NULL && cold_state(reader->cold) != COLD_COPYING &&
        storage_resolve(reader->storage, &reader->named, &digest, NULL) &&
        storage_has(reader->storage, reader->name, &digest)) {
        reader->blob = storage_blob(reader->storage, reader->name, &digest, NULL);
    }
    return reader->blob != NULL;
}

/* The whole blob is right, or is not given out to its end. */
static gssize read_end(ColdReader *reader, guint64 offset, void *buffer, gsize size, GError **error)
{
    ColdState state = cold_wait(reader->cold);
    if (reader_finds(reader)) {
        return storage_blob_read(reader->blob, offset, buffer, size, error);
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "%s: a blob could not be copied from the upstream%s",
                reader->name, state == COLD_FAILED ? "" : " in time");
    return -1;
}

static gssize read_any(ColdReader *reader, guint64 offset, void *buffer, gsize size, GError **error)
{
    if (reader_finds(reader)) {
        return storage_blob_read(reader->blob, offset, buffer, size, error);
    }
    if (cold_state(reader->cold) == COLD_FAILED) {
        return read_end(reader, offset, buffer, size, error);
    }
    gboolean whole = reader->from_start && reader->next == offset;
    if (whole && reader->size - offset == 1) {
        return read_end(reader, offset, buffer, size, error);
    }
    /* The last byte waits for the digest. */
    gsize most = whole ? (gsize)MIN((guint64)size, reader->size - 1 - offset) : size;
    gsize taken = cold_take(reader->cold, offset, buffer, most);
    if (taken > 0) {
        return (gssize)taken;
    }
    if (reader_finds(reader)) {
        return storage_blob_read(reader->blob, offset, buffer, size, error);
    }
    g_autoptr(GError) problem = NULL;
    gssize got = reader->ignores ? -1 : direct_read(reader, offset, buffer, most, &problem);
    if (got < 0 && reader->ignores) {
        return read_end(reader, offset, buffer, size, error);
    }
    if (got < 0) {
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return got;
}

gssize cold_reader_read(ColdReader *reader, guint64 offset, void *buffer, gsize size, GError **error)
{
    if (offset >= reader->size) {
        return 0;
    }
    if (offset == 0) {
        reader->from_start = TRUE;
        reader->next = 0;
    }
    gssize got = read_any(reader, offset, buffer, (gsize)MIN((guint64)size, reader->size - offset), error);
    reader->from_start = reader->from_start && reader->next == offset && got > 0;
    reader->next = offset + (got > 0 ? (guint64)got : 0);
    return got;
}
