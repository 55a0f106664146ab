/* The other part of text.h: the time, which the environment may fix. */
#include "base/text.h"

char *ingot_text_now(void)
{
    const char *epoch = g_getenv("SOURCE_DATE_EPOCH");
    guint64 fixed;

    if (epoch && g_ascii_string_to_unsigned(epoch, 10, 0, G_MAXINT64, &fixed, NULL))
        return ingot_text_time((gint64)fixed);
    return ingot_text_time(g_get_real_time() / G_USEC_PER_SEC);
}
