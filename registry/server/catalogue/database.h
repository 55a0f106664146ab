/* A database: one SQLite file with one writer at a time and any number of readers beside it (WAL). The one door to
 * SQLite.
 *
 * Invariants: a commit is on the disk when it returns (synchronous=FULL); a reader sees one state from its first row to
 * its end. Other processes may have the file open too: they take turns with the writer, for at most 10 s each. A
 * Connection belongs to one thread at a time, a Database to all. Statements are prepared once for each connection. What
 * the system refuses is DENIED. */
#pragma once

#include <ingot/digest.h>
#include <sqlite3.h>

typedef struct Database Database;
typedef struct Connection Connection;

typedef enum {
    DATABASE_PLAIN,
    DATABASE_SECRET, /* what is deleted is written over */
} DatabaseKind;
/* Opens or makes it, and brings it to the newest version: migrations[i] is the SQL that leads from version i to i + 1.
 * They are one transaction: who opens a new file at the same time waits, and finds it made. A newer version than there
 * are migrations is TOO_NEW. */
Database *database_open(const char *path, DatabaseKind kind, const char *const *migrations, guint count,
                        GError **error);
void database_close(Database *database);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Database, database_close)

/* Brings all that was committed into the file itself, flushed: SQLite's log is empty then, and the file can be moved
 * alone. Nobody else has it open. */
gboolean database_settle(Database *database, GError **error);

/* Copies a database that others may have open and write to, as it is at one moment, to a file that is made anew. */
gboolean database_copy(const char *from, const char *to, GError **error);

/* Whether the file of a database that nobody writes to is whole: CORRUPT. */
gboolean database_check(const char *path, GError **error);

/* A connection to read with; give it back. NULL on failure. */
Connection *database_reader(Database *database, GError **error);
void database_give_back(Connection *reader);
/* From its next query on until it is given back, the reader sees one state. */
gboolean database_hold(Connection *reader, GError **error);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Connection, database_give_back)

/* A number that another one follows whenever anything is committed, by this process or another: what was read before
 * and is kept holds for as long as the number stays. It differs from each before it while nothing can be read. */
guint64 database_sequence(Database *database);

/* The one connection that writes, in a transaction; waits for whoever has it. Then commit or roll back, and release. */
Connection *database_begin(Database *database, GError **error);
/* Rolled back if it fails. A failure of the disk may have left the transaction in SQLite's log all the same, to be
 * found at the next opening: then the database takes no more changes until it is opened again. */
gboolean database_commit(Database *database, GError **error);
gboolean database_is_stopped(Database *database); /* whether that has happened */
void database_rollback(Database *database);
void database_release(Database *database);
/* All three: commits where ok is TRUE, else rolls back; whether all went well. */
gboolean database_end(Database *database, gboolean ok, GError **error);

/* From here to its end a reader sees one state of the database, whatever is committed meanwhile. */
gboolean database_snapshot(Connection *reader, GError **error);
void database_snapshot_end(Connection *reader);

/* A statement with its parameters bound, to be stepped through. sql must be a literal (it is the key of what has been
 * prepared). types has one letter for each parameter: i gint64, t text (NULL: null), d const IngotDigest * (NULL:
 * null), b pointer and gsize. Texts and bytes must stay until it is done. */
sqlite3_stmt *database_query(Connection *connection, const char *sql, const char *types, ...);
/* Ends it: resets, so that it can be used again. */
void database_done(sqlite3_stmt *statement);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sqlite3_stmt, database_done)
/* TRUE: a row. FALSE: none, or an error, which is then set. */
gboolean database_step(sqlite3_stmt *statement, GError **error);
/* Runs a statement that gives no rows. */
gboolean database_run(Connection *connection, GError **error, const char *sql, const char *types, ...);
/* The same as a transaction of its own; *changed (may be NULL): rows that it changed. */
gboolean database_change(Database *database, gint64 *changed, GError **error, const char *sql, const char *types, ...);
/* One number; `otherwise` where there is no row. FALSE: an error. */
gboolean database_number(Connection *connection, gint64 *number, gint64 otherwise, GError **error, const char *sql,
                         const char *types, ...);

/* Rows that the last statement changed; the id of the row that it added. */
gint64 database_changes(Connection *connection);
gint64 database_added(Connection *connection);
/* A text column as a copy; free it. */
char *database_text(sqlite3_stmt *statement, int column);
/* A column of 32 bytes; FALSE if it is none. */
gboolean database_digest(sqlite3_stmt *statement, int column, IngotDigest *digest);
