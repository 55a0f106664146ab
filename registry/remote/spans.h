/* Which ranges of a blob are still to be asked for, and how they are put into requests.
 *
 * Ranges are cut into pieces; a span is a run of neighbouring pieces, as one request asks for them. It shrinks as bytes
 * come, so a request that was not answered, or not to its end, is asked again for what is left of it. Pure. */
#pragma once

#include <ingot/remote.h>

#define SPANS_BYTES_MAX (8u << 20) /* of one request */
#define SPANS_LIST_MAX 4096u       /* pieces of one list */
#define SPANS_ENTRY 16u            /* bytes of a list for each: offset, length */

/* Appends a range to those before it (of IngotRange); one that begins where the last ends makes that longer. */
void ranges_join(GArray *ranges, guint64 offset, guint64 length);

typedef struct {
    guint at, end;  /* pieces */
    guint64 within; /* bytes of the first that have come */
} Span;

typedef struct {
    GArray *pieces; /* of IngotRange */
    GArray *todo;   /* of Span */
} Spans;

void spans_init(Spans *spans, const IngotRange *ranges, guint count);
void spans_clear(Spans *spans);
gboolean spans_is_empty(const Spans *spans);

/* Bytes of the piece that comes next. Of this and the next three: something is still to be asked for. */
guint64 spans_first(const Spans *spans);
/* Takes what the next request asks for: pieces with at most `gap` bytes from one to the next, as one range... */
void spans_take(Spans *spans, guint64 gap, Span *span);
/* ...or as many as a list may have. */
void spans_take_list(Spans *spans, Span *span);
/* What is left of it is to be asked for in another way; empties it. */
void spans_give_back(Spans *spans, Span *span);
/* What is to be asked for, in ascending order, where the ranges ascend. Of IngotRange; free it. */
GArray *spans_left(Spans *spans);

/* The bytes that are to come next; FALSE: the span has come. */
gboolean spans_next(const Spans *spans, const Span *span, IngotRange *next);
/* At most that many of those have come. */
void spans_came(const Spans *spans, Span *span, guint64 size);
/* All from the first byte of the span to its last. */
IngotRange spans_whole(const Spans *spans, const Span *span);
/* Its pieces as a list for a registry of Ingot's (Ingot-Ranges), and their bytes together. Free it. */
GByteArray *spans_list(const Spans *spans, const Span *span, guint64 *bytes);
