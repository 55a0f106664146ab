#include "remote/spans.h"

static const IngotRange *piece_at(const Spans *spans, guint i)
{
    return &g_array_index(spans->pieces, IngotRange, i);
}

void ranges_join(GArray *ranges, guint64 offset, guint64 length)
{
    IngotRange *last = ranges->len == 0 ? NULL : &g_array_index(ranges, IngotRange, ranges->len - 1);
    if (last != NULL && last->offset + last->length == offset) {
        last->length += length;
    } else {
        IngotRange range = {.offset = offset, .length = length};
        g_array_append_val(ranges, range);
    }
}

void spans_init(Spans *spans, const IngotRange *ranges, guint count)
{
    spans->pieces = g_array_sized_new(FALSE, FALSE, sizeof(IngotRange), count);
    spans->todo = g_array_new(FALSE, FALSE, sizeof(Span));
    for (guint i = 0; i < count; i++) {
        for (guint64 at = 0; at < ranges[i].length; at += SPANS_BYTES_MAX) {
            IngotRange piece = {.offset = ranges[i].offset + at, .length = MIN(ranges[i].length - at, SPANS_BYTES_MAX)};
            g_array_append_val(spans->pieces, piece);
        }
    }
    if (spans->pieces->len > 0) {
        const Span all = {.end = spans->pieces->len};
        g_array_append_val(spans->todo, all);
    }
}

void spans_clear(Spans *spans)
{
    g_array_unref(spans->pieces);
    g_array_unref(spans->todo);
}

gboolean spans_is_empty(const Spans *spans)
{
    return spans->todo->len == 0;
}

guint64 spans_first(const Spans *spans)
{
    const Span *last = &g_array_index(spans->todo, Span, spans->todo->len - 1);
    return piece_at(spans, last->at)->length - last->within;
}

/* Cuts the first pieces, up to `end`, off what is left. */
static void take_to(Spans *spans, guint end, Span *span)
{
    Span *last = &g_array_index(spans->todo, Span, spans->todo->len - 1);
    *span = (Span){.at = last->at, .end = end, .within = last->within};
    if (end == last->end) {
        g_array_set_size(spans->todo, spans->todo->len - 1);
    } else {
        *last = (Span){.at = end, .end = last->end};
    }
}

void spans_take(Spans *spans, guint64 gap, Span *span)
{
    const Span *last = &g_array_index(spans->todo, Span, spans->todo->len - 1);
    guint64 first = piece_at(spans, last->at)->offset + last->within;
    guint end = last->at + 1;
    for (; end < last->end; end++) {
        const IngotRange *before = piece_at(spans, end - 1), *piece = piece_at(spans, end);
        guint64 behind = before->offset + before->length;
        if (piece->offset < behind || piece->offset - behind > gap ||
            piece->offset + piece->length - first > SPANS_BYTES_MAX) {
            break;
        }
    }
    take_to(spans, end, span);
}

void spans_take_list(Spans *spans, Span *span)
{
    const Span *last = &g_array_index(spans->todo, Span, spans->todo->len - 1);
    guint64 bytes = piece_at(spans, last->at)->length - last->within;
    guint end = last->at + 1;
    for (; end < MIN(last->end, last->at + SPANS_LIST_MAX); end++) {
        const IngotRange *before = piece_at(spans, end - 1), *piece = piece_at(spans, end);
        bytes += piece->length;
        if (piece->offset < before->offset + before->length || bytes > SPANS_BYTES_MAX) {
            break;
        }
    }
    take_to(spans, end, span);
}

void spans_give_back(Spans *spans, Span *span)
{
    if (span->at < span->end) {
        g_array_append_val(spans->todo, *span);
    }
    *span = (Span){0};
}

static gint span_compare(gconstpointer a, gconstpointer b)
{
    const Span *one = a, *other = b;
    return one->at < other->at ? -1 : one->at > other->at;
}

gboolean spans_next(const Spans *spans, const Span *span, IngotRange *next)
{
    if (span->at == span->end) {
        return FALSE;
    }
    *next = *piece_at(spans, span->at);
    next->offset += span->within;
    next->length -= span->within;
    return TRUE;
}

void spans_came(const Spans *spans, Span *span, guint64 size)
{
    span->within += size;
    if (span->within == piece_at(spans, span->at)->length) {
        span->at++;
        span->within = 0;
    }
}

GArray *spans_left(Spans *spans)
{
    GArray *left = g_array_new(FALSE, FALSE, sizeof(IngotRange));
    g_array_sort(spans->todo, span_compare);
    for (guint i = 0; i < spans->todo->len; i++) {
        Span span = g_array_index(spans->todo, Span, i);
        IngotRange range;
        while (spans_next(spans, &span, &range)) {
            g_array_append_val(left, range);
            spans_came(spans, &span, range.length);
        }
    }
    return left;
}

IngotRange spans_whole(const Spans *spans, const Span *span)
{
    const IngotRange *last = piece_at(spans, span->end - 1);
    guint64 offset = piece_at(spans, span->at)->offset + span->within;
    return (IngotRange){.offset = offset, .length = last->offset + last->length - offset};
}

GByteArray *spans_list(const Spans *spans, const Span *span, guint64 *bytes)
{
    GByteArray *list = g_byte_array_sized_new((span->end - span->at) * SPANS_ENTRY);
    Span rest = *span;
    IngotRange range;
    *bytes = 0;
    while (spans_next(spans, &rest, &range)) {
        guint64 entry[] = {GUINT64_TO_LE(range.offset), GUINT64_TO_LE(range.length)};
        g_byte_array_append(list, (const guint8 *)entry, sizeof entry);
        *bytes += range.length;
        spans_came(spans, &rest, range.length);
    }
    return list;
}
