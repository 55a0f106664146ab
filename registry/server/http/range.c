#include "server/http/range.h"

#include <string.h>

/* Digits alone (GLib would pass over a vertical tab before them); an empty text is none. */
static gboolean parse_number(const char *text, guint64 *number, gboolean *given)
{
    *given = *text != '\0';
    return !*given || (text[strspn(text, "0123456789")] == '\0' &&
                       g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, number, NULL));
}

/* One "FIRST-LAST", "FIRST-" or "-SUFFIX". *range has length 0 where nothing lies in it. FALSE: it is none. */
static gboolean parse_one(const char *text, guint64 size, ByteRange *range)
{
    const char *dash = strchr(text, '-');
    if (dash == NULL) {
        return FALSE;
    }
    g_autofree char *before = g_strndup(text, (gsize)(dash - text));
    guint64 first = 0, last = 0;
    gboolean has_first, has_last;
    if (!parse_number(before, &first, &has_first) || !parse_number(dash + 1, &last, &has_last) ||
        (!has_first && !has_last)) {
        return FALSE;
    }
    if (!has_first) {
        *range = (ByteRange){.offset = size - MIN(last, size), .length = MIN(last, size)};
    } else if (first >= size || (has_last && last < first)) {
        range->length = 0;
    } else {
        *range = (ByteRange){.offset = first, .length = (has_last && last < size ? last + 1 : size) - first};
    }
    return TRUE;
}

RangeKind range_parse(const char *text, guint64 size, GArray *ranges)
{
    if (text == NULL || g_ascii_strncasecmp(text, "bytes=", strlen("bytes=")) != 0) {
        return RANGE_WHOLE;
    }
    g_auto(GStrv) parts = g_strsplit(text + strlen("bytes="), ",", RANGES_MAX + 1);
    guint64 total = 0;
    guint count = 0;
    for (; parts[count] != NULL; count++) {
        ByteRange range = {0};
        if (count == RANGES_MAX || !parse_one(g_strstrip(parts[count]), size, &range)) {
            return RANGE_WHOLE;
        }
        if (range.length > size - total) {
            return RANGE_WHOLE;
        }
        total += range.length;
        if (range.length > 0) {
            g_array_append_val(ranges, range);
        }
    }
    if (ranges->len == 0) {
        return count == 0 ? RANGE_WHOLE : RANGE_UNSATISFIABLE;
    }
    return RANGE_PARTS;
}

gboolean range_parse_content(const char *text, ByteRange *range)
{
    const char *dash = strchr(text, '-');
    if (dash == NULL) {
        return FALSE;
    }
    g_autofree char *before = g_strndup(text, (gsize)(dash - text));
    guint64 first = 0, last = 0;
    gboolean has_first, has_last;
    if (!parse_number(before, &first, &has_first) || !parse_number(dash + 1, &last, &has_last) || !has_first ||
        !has_last || last < first || last >= G_MAXINT64) {
        return FALSE;
    }
    *range = (ByteRange){.offset = first, .length = last - first + 1};
    return TRUE;
}
