#include "remote/gather.h"

#define GATHER_MAX (256u << 10) /* bytes: what libcurl reads from a connection at once */

void gather_init(Gather *gather, IngotRangeFunc got, gpointer user)
{
    *gather = (Gather){.got = got, .user = user, .bytes = g_byte_array_sized_new(GATHER_MAX)};
}

void gather_clear(Gather *gather)
{
    g_clear_pointer(&gather->bytes, g_byte_array_unref);
}

gboolean gather_hand_on(Gather *gather, GError **error)
{
    guint size = gather->bytes->len;
    gboolean ok = size == 0 || gather->got(gather->offset, gather->bytes->data, size, gather->user, error);
    g_byte_array_set_size(gather->bytes, 0);
    return ok;
}

gboolean gather_add(Gather *gather, guint64 offset, const void *data, gsize size, GError **error)
{
    gboolean follows = gather->offset + gather->bytes->len == offset && gather->bytes->len + size <= GATHER_MAX;
    if (!follows && !gather_hand_on(gather, error)) {
        return FALSE;
    }
    if (size > GATHER_MAX) {
        return gather->got(offset, data, size, gather->user, error);
    }
    if (gather->bytes->len == 0) {
        gather->offset = offset;
    }
    g_byte_array_append(gather->bytes, data, (guint)size);
    return TRUE;
}
