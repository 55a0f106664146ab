#include "server/http/range.h"

#include <string.h>

/* A text that is looked through: nothing is copied, since most requests of the main load have a range. */
typedef struct {
    const char *at, *end;
} Span;

/* "FIRST-LAST", either of which may lack. */
typedef struct {
    guint64 first, last;
    gboolean has_first, has_last;
} Bounds;

/* Digits alone; none is no number. FALSE: more than fits. */
static gboolean take_number(Span *span, guint64 *number, gboolean *given)
{
    const char *start = span->at;
    *number = 0;
    for (; span->at < span->end && g_ascii_isdigit(*span->at); span->at++) {
        if (!g_uint64_checked_mul(number, *number, 10) ||
            !g_uint64_checked_add(number, *number, (guint64)(*span->at - '0'))) {
            return FALSE;
        }
    }
    *given = span->at > start;
    return TRUE;
}

/* All of the span. */
static gboolean parse_bounds(Span span, Bounds *bounds)
{
    if (!take_number(&span, &bounds->first, &bounds->has_first) || span.at == span.end || *span.at != '-') {
        return FALSE;
    }
    span.at++;
    return take_number(&span, &bounds->last, &bounds->has_last) && span.at == span.end;
}

/* One "FIRST-LAST", "FIRST-" or "-SUFFIX". *range has length 0 where nothing lies in it. FALSE: it is none. */
static gboolean parse_one(Span span, guint64 size, ByteRange *range)
{
    Bounds of;
    if (!parse_bounds(span, &of) || (!of.has_first && !of.has_last)) {
        return FALSE;
    }
    if (!of.has_first) {
        *range = (ByteRange){.offset = size - MIN(of.last, size), .length = MIN(of.last, size)};
    } else if (of.first >= size || (of.has_last && of.last < of.first)) {
        range->length = 0;
    } else {
        *range =
            (ByteRange){.offset = of.first, .length = (of.has_last && of.last < size ? of.last + 1 : size) - of.first};
    }
    return TRUE;
}

/* Up to the next comma, without the blanks around it; *rest: what follows the comma, NULL: nothing. */
static Span next_element(const char *text, const char **rest)
{
    Span span = {.at = text, .end = strchrnul(text, ',')};
    *rest = *span.end == ',' ? span.end + 1 : NULL;
    while (span.at < span.end && g_ascii_isspace(*span.at)) {
        span.at++;
    }
    while (span.at < span.end && g_ascii_isspace(span.end[-1])) {
        span.end--;
    }
    return span;
}

RangeKind range_parse(const char *text, guint64 size, GArray *ranges)
{
    if (text == NULL || g_ascii_strncasecmp(text, "bytes=", strlen("bytes=")) != 0) {
        return RANGE_WHOLE;
    }
    guint64 total = 0;
    const char *rest = text + strlen("bytes=");
    for (guint count = 0; rest != NULL; count++) {
        ByteRange range = {0};
        if (count == RANGES_MAX || !parse_one(next_element(rest, &rest), size, &range)) {
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
    return ranges->len == 0 ? RANGE_UNSATISFIABLE : RANGE_PARTS;
}

gboolean range_parse_content(const char *text, ByteRange *range)
{
    Bounds of;
    if (!parse_bounds((Span){.at = text, .end = text + strlen(text)}, &of) || !of.has_first || !of.has_last ||
        of.last < of.first || of.last >= G_MAXINT64) {
        return FALSE;
    }
    *range = (ByteRange){.offset = of.first, .length = of.last - of.first + 1};
    return TRUE;
}

static guint64 take_le64(const guint8 *at)
{
    guint64 value;
    memcpy(&value, at, sizeof value);
    return GUINT64_FROM_LE(value);
}

gboolean range_parse_list(const guint8 *list, gsize size, guint64 blob_size, GArray *ranges)
{
    guint64 behind = 0; /* the range before */
    for (gsize at = 0; at + RANGE_ENTRY <= size; at += RANGE_ENTRY) {
        ByteRange range = {.offset = take_le64(list + at), .length = take_le64(list + at + sizeof(guint64))};
        if (range.length == 0 || range.offset < behind || range.offset > blob_size ||
            range.length > blob_size - range.offset) {
            return FALSE;
        }
        behind = range.offset + range.length;
        g_array_append_val(ranges, range);
    }
    return size > 0 && size % RANGE_ENTRY == 0;
}
