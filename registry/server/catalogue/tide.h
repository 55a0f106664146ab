/* Tide: whether anything was committed to a database, by any process, since it was last asked.
 *
 * An event loop asks with each request, so it costs no system call: SQLite keeps the state of its log in memory that
 * all processes share, which begins with a header that each commit changes (sqlite.org/walformat.html, section 2.1).
 * SQLite itself maps it, by the method that it documents (sqlite3_io_methods, xShmMap), for as long as the connection
 * is open. Where there is no such memory, SQLite is asked (PRAGMA data_version). Whoever calls these takes turns. */
#pragma once

#include <glib.h>
#include <sqlite3.h>

#define TIDE_WORDS 12u /* of the header */

typedef struct {
    sqlite3 *handle;                /* of a connection that commits nothing */
    const volatile guint32 *header; /* NULL: SQLite is asked */
    guint32 seen[TIDE_WORDS];       /* the header when it was last read */
    gint64 version;                 /* what SQLite said last */
    guint64 sequence;               /* how often it was another one */
} Tide;

/* The connection stays open for as long as the tide is asked. */
void tide_begin(Tide *tide, sqlite3 *handle);
/* Another number after each commit, and each time that nothing can be read. */
guint64 tide_sequence(Tide *tide);
