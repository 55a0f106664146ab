/* How far the log of events goes, as the catalogue's last transaction left it (eventlog.h). */
#pragma once

#include "server/catalogue/database.h"
#include "server/events/eventlog.h"

typedef enum {
    LOGMARK_NONE, /* nothing was ever written: the catalogue is new, or empty where it should not be */
    LOGMARK_OLD,  /* a version without numbers has left the length alone: mark->end */
    LOGMARK_KNOWN,
} LogMarkKind;

/* CORRUPT where the row is not what was written. */
gboolean logmark_get(Connection *connection, EventMark *mark, LogMarkKind *kind, GError **error);
gboolean logmark_set(Connection *writer, const EventMark *mark, GError **error);
