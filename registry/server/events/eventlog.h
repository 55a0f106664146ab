/* The log of events, DIR/names.log: every change of a name, one line each, in order. With the packs it is all that a
 * lost catalogue can be made of again.
 *
 * A line is 16 hex digits (XXH3-64 of the rest), a space, and a JSON object: what happened, and three members by which
 * the log proves itself: `n`, the event's number, counted from 1; `prev`, the SHA-256 of the line before it; `tx`, the
 * number of the first event of its transaction. Lines that older versions wrote have none of the three; the first
 * numbered line then has the SHA-256 of all that stands before it.
 *
 * A log that has become long begins anew with a checkpoint (checkpoint.h): a picture of all names, in place of the
 * events that led to them.
 *
 * The catalogue keeps the mark of its last event, in the transaction that the event belongs to. Invariant: bytes in
 * front of that mark are never changed or cut. Behind it stands at most the one transaction that was appended and not
 * committed; it is set aside, in PATH.aside, before anything else is appended. Any process may append that holds the
 * catalogue's writer. */
#pragma once

#include <ingot/digest.h>

#include "base/json.h"

/* Where the log stands after an event. */
typedef struct {
    guint64 number;   /* of the event; 0: none has a number yet */
    guint64 end;      /* bytes of the log */
    IngotDigest hash; /* of the event's line, without its newline; of all bytes up to the end where the number is 0 */
} EventMark;

/* The mark of the first `end` bytes of a log without numbers. CORRUPT where the log is shorter. */
gboolean eventlog_start(const char *path, guint64 end, EventMark *mark, GError **error);
/* Whether the log is the one that the mark was made of, with at most one transaction behind it; otherwise CORRUPT.
 * *tail: whether anything stands behind the mark. Changes nothing. */
gboolean eventlog_check(const char *path, const EventMark *mark, gboolean *tail, GError **error);
/* Sets aside what stands behind the mark. The log has been checked. */
gboolean eventlog_settle(const char *path, const EventMark *mark, GError **error);

/* The lines of a transaction whose events are the objects (json_t, which get their three members here). Moves the mark
 * behind them. */
void eventlog_format(GString *lines, const GPtrArray *objects, EventMark *mark);
/* Appends lines behind the mark and flushes them. A failure leaves nothing of them. */
gboolean eventlog_append(const char *path, const EventMark *mark, const GString *lines, GError **error);
/* Whether the log has the mark's event where the mark says. */
gboolean eventlog_has(const char *path, const EventMark *mark);
/* Finds the mark's event in a log that has begun anew with a checkpoint since the mark was made (*moved). */
gboolean eventlog_locate(const char *path, EventMark *mark, gboolean *moved, GError **error);
/* Whether the mark's event alone is damaged: what stands before it is whole, and nothing of a later one behind it. */
gboolean eventlog_lost_last(const char *path, const EventMark *mark);
/* Takes back lines that were appended behind the mark: their transaction will surely never be committed. */
gboolean eventlog_undo(const char *path, const EventMark *mark, GError **error);

typedef enum {
    EVENT_GAP,          /* events are damaged or missing */
    EVENT_GAP_PICTURE,  /* something of the checkpoint that the log begins with */
    EVENT_GAP_REPLACED, /* the same, and the log before it tells all that it showed */
} EventGap;
typedef struct {
    guint64 number;       /* 0: the line has none */
    const json_t *object; /* NULL: a gap, which `trouble` describes */
    const char *trouble;  /* "event 7, at offset 1234, is damaged" */
    EventGap gap;         /* of what kind it is */
} Event;
typedef gboolean (*EventTake)(const Event *event, gpointer user, GError **error);
/* Calls take for each line of the checkpoint that the log begins with, each event and each gap among the first `end`
 * bytes (G_MAXUINT64: all). *mark (may be NULL) receives the mark of the last whole line. A file that does not exist
 * has no lines. */
gboolean eventlog_read(const char *path, guint64 end, EventTake take, gpointer user, EventMark *mark, GError **error);
/* The same; where the checkpoint is damaged, and the log before it is kept, that is read in its place. */
gboolean eventlog_read_whole(const char *path, guint64 end, EventTake take, gpointer user, EventMark *mark,
                             GError **error);
/* Whether anything behind the mark is damaged, where at most one transaction stands behind it, as a crash leaves it;
 * FALSE, too, where the log is not the mark's. */
gboolean eventlog_is_torn(const char *path, const EventMark *mark);

/* The file, mapped; NULL and no error: it does not exist, or is empty. */
GMappedFile *eventlog_map(const char *path, GError **error);
