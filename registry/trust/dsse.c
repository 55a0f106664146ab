#include "trust/dsse.h"

#include <string.h>

GBytes *dsse_pae(const char *type, const void *payload, gsize size)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_printf(text, "DSSEv1 %zu %s %zu ", strlen(type), type, size);
    g_string_append_len(text, payload, (gssize)size);
    return g_string_free_to_bytes(g_steal_pointer(&text));
}
