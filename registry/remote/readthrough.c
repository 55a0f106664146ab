#include "remote/readthrough.h"

#include <ingot/error.h>

#include "remote/failure.h"
#include "remote/relay.h"

typedef struct {
    const IngotRange *ranges;
    guint count, next; /* next: the first that has not come */
    IngotRangeFunc got;
    gpointer user;
} Through;

/* Hands on what lies in the ranges. */
static gboolean pass_on(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    Through *through = user;
    for (guint i = through->next; i < through->count && through->ranges[i].offset < offset + size; i++) {
        const IngotRange *range = &through->ranges[i];
        guint64 from = MAX(range->offset, offset), to = MIN(range->offset + range->length, offset + size);
        if (from < to &&
            !through->got(from, (const guint8 *)data + (from - offset), (gsize)(to - from), through->user, error)) {
            return FALSE;
        }
        through->next += to == range->offset + range->length ? 1 : 0;
    }
    if (through->next == through->count) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "the rest is not wanted");
        return FALSE;
    }
    return TRUE;
}

gboolean read_through(IngotRemote *remote, const char *name, const IngotDigest *digest, const IngotRange *ranges,
                      guint count, IngotRangeFunc got, gpointer user, guint64 *received, GError **error)
{
    Through through = {.ranges = ranges, .count = count, .got = got, .user = user};
    g_autofree char *url = http_digest_url(remote, name, "blobs", digest);
    g_autoptr(GError) problem = NULL;
    if (ingot_remote_stream(remote, name, digest, 0, 0, pass_on, &through, received, &problem)) {
        return failure_set(remote, url, INGOT_ERROR_NETWORK, error, "the blob is shorter than was said");
    }
    if (through.next < through.count) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    return TRUE;
}
