/* Auditing the log of events: whether each event is there, to the letter as it was written, in its order, across all
 * logs that are kept (checkpoint.h).
 *
 * Each event holds the hash of the one before it, so that one which was changed, removed, put in or moved shows in the
 * next. The last one shows by the mark of whoever knows it: the catalogue, or a person who has noted the hash of an
 * earlier audit. Without such a mark a log that was cut at its end, or written anew as a whole, is not told from
 * another. Files are read while others append to them. */
#pragma once

#include "server/events/eventlog.h"

typedef struct {
    guint64 first, last; /* numbers of the first and the last event that is there; 0: there is none */
    guint64 events;      /* that have a number */
    guint64 faults;
    guint logs;       /* files that were read */
    IngotDigest head; /* the hash of the last event */
    gboolean met;     /* the hash that was asked for is that of an event */
} AuditReport;
typedef void (*AuditTell)(const char *line, gpointer user);

/* known: the last event that somebody knows (NULL: nobody); wanted: the hash of an event that is to be there (NULL:
 * none). tell is called for each fault. FALSE: a log can't be read. */
gboolean audit_verify(const char *log, const EventMark *known, const IngotDigest *wanted, AuditTell tell, gpointer user,
                      AuditReport *report, GError **error);

/* Calls take for each event and each gap of all logs that are kept, in order, without the pictures. */
gboolean audit_read(const char *log, EventTake take, gpointer user, GError **error);
