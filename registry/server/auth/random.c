#include "server/auth/random.h"

#include <errno.h>
#include <ingot/error.h>
#include <sys/random.h>

gboolean random_bytes(guint8 *bytes, gsize size, GError **error)
{
    /* Up to 256 bytes come whole. */
    return getrandom(bytes, size, 0) == (gssize)size || ingot_error_set_errno(error, errno, "getrandom");
}

char *random_id(GError **error)
{
    guint8 bytes[RANDOM_ID_SIZE / 2];
    if (!random_bytes(bytes, sizeof bytes, error)) {
        return NULL;
    }
    GString *id = g_string_new(NULL);
    for (guint i = 0; i < sizeof bytes; i++) {
        g_string_append_printf(id, "%02x", bytes[i]);
    }
    return g_string_free(id, FALSE);
}
