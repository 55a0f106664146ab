#include "trust/base64.h"

#include <string.h>

char *base64_write(const void *data, gsize size)
{
    return g_base64_encode(data, size);
}

/* GLib passes over what is not of the alphabet: what is written again must be the same. */
GBytes *base64_read(const char *text, gsize limit)
{
    gsize size, length = strlen(text);
    if (length % 4 != 0 || length / 4 > limit / 3 + 1) {
        return NULL;
    }
    g_autofree guchar *data = g_base64_decode(text, &size);
    g_autofree char *again = g_base64_encode(data, size);
    return size <= limit && strcmp(again, text) == 0 ? g_bytes_new_take(g_steal_pointer(&data), size) : NULL;
}
