/* Ranges: the input's first line is the blob's size, the rest a header's value, of Range and of Content-Range. */
#include <string.h>

#include "fuzz.h"
#include "server/http/range.h"

/* Within the blob, and no more of it than there is: what it promises. */
static void check_parts(const GArray *ranges, guint64 size)
{
    guint64 total = 0;
    g_assert(ranges->len > 0 && ranges->len <= RANGES_MAX);
    for (guint i = 0; i < ranges->len; i++) {
        const ByteRange *range = &g_array_index(ranges, ByteRange, i);
        g_assert(range->length > 0 && range->length <= size && range->offset <= size - range->length);
        g_assert(range->length <= size - total);
        total += range->length;
    }
}

static char *write_parts(const GArray *ranges)
{
    GString *text = g_string_new("bytes=");
    for (guint i = 0; i < ranges->len; i++) {
        const ByteRange *range = &g_array_index(ranges, ByteRange, i);
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, i > 0 ? ", " : "", range->offset,
                               range->offset + range->length - 1);
    }
    return g_string_free(text, FALSE);
}

static void try_ranges(const char *text, guint64 size)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(ByteRange));
    g_autoptr(GArray) again = g_array_new(FALSE, FALSE, sizeof(ByteRange));
    RangeKind kind = range_parse(text, size, ranges);
    if (kind == RANGE_UNSATISFIABLE) {
        g_assert(ranges->len == 0);
    }
    if (kind == RANGE_PARTS) {
        check_parts(ranges, size);
        g_autofree char *written = write_parts(ranges);
        g_assert(range_parse(written, size, again) == RANGE_PARTS);
        g_assert(again->len == ranges->len);
        g_assert(memcmp(again->data, ranges->data, ranges->len * sizeof(ByteRange)) == 0);
    }
}

static void try_content(const char *text)
{
    ByteRange range, again;
    if (!range_parse_content(text, &range)) {
        return;
    }
    g_assert(range.length > 0 && range.length <= G_MAXINT64 && range.offset <= G_MAXINT64 - range.length);
    g_assert(strspn(text, "0123456789-") == strlen(text));
    g_autofree char *written =
        g_strdup_printf("%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, range.offset, range.offset + range.length - 1);
    g_assert(range_parse_content(written, &again));
    g_assert(memcmp(&range, &again, sizeof range) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *input = g_strndup((const char *)data, size);
    char *rest = strchr(input, '\n');
    if (rest == NULL) {
        return 0;
    }
    *rest++ = '\0';
    try_ranges(rest, g_ascii_strtoull(input, NULL, 10));
    try_content(rest);
    return 0;
}
