#include "server/catalogue/database.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <stdarg.h>
#include <string.h>

#include "server/catalogue/tide.h"

#define BUSY_MSEC 10000
#define CACHE_KIB "-2048" /* of pages for each connection */

struct Connection {
    Database *database;
    sqlite3 *handle;
    GHashTable *statements; /* address of the SQL -> sqlite3_stmt */
};

struct Database {
    char *path;
    Connection *writer;
    GMutex writing; /* held from begin to release */
    gint stopped;   /* atomic: a commit has failed, and what of it is on the disk is unknown */
    GMutex lock;    /* guards idle */
    GQueue idle;    /* readers that nobody has */
    GMutex watching;
    Connection *watcher; /* sees each commit; opened when it is first needed */
    Tide tide;           /* of the watcher */
    guint64 blind;       /* how often it could not be opened */
};

static IngotError kind_of(sqlite3 *handle)
{
    switch (sqlite3_errcode(handle) & 0xff) {
    case SQLITE_FULL:
        return INGOT_ERROR_NO_SPACE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return INGOT_ERROR_CORRUPT;
    case SQLITE_READONLY:
        return INGOT_ERROR_DENIED;
    case SQLITE_CANTOPEN: /* with too many files open, nobody refuses */
        return sqlite3_system_errno(handle) == EMFILE || sqlite3_system_errno(handle) == ENFILE ? INGOT_ERROR_FAILED
                                                                                                : INGOT_ERROR_DENIED;
    default:
        return INGOT_ERROR_FAILED;
    }
}

static gboolean failed(sqlite3 *handle, const char *path, GError **error)
{
    g_set_error(error, INGOT_ERROR, kind_of(handle), "%s: %s", path, sqlite3_errmsg(handle));
    return FALSE;
}

static gboolean execute(sqlite3 *handle, const char *path, const char *sql, GError **error)
{
    return sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK || failed(handle, path, error);
}

static void connection_free(Connection *connection)
{
    if (connection != NULL) {
        g_hash_table_unref(connection->statements);
        sqlite3_close(connection->handle);
        g_free(connection);
    }
}

static void finalize(gpointer statement)
{
    sqlite3_finalize(statement);
}

static Connection *connection_new(Database *database, int flags, GError **error)
{
    Connection *connection = g_new0(Connection, 1);
    connection->database = database;
    connection->statements = g_hash_table_new_full(NULL, NULL, NULL, finalize);
    if (sqlite3_open_v2(database->path, &connection->handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        failed(connection->handle, database->path, error);
        connection_free(connection);
        return NULL;
    }
    sqlite3_busy_timeout(connection->handle, BUSY_MSEC);
    if (!execute(connection->handle, database->path,
                 "PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON; "
                 "PRAGMA trusted_schema=OFF; PRAGMA cache_size=" CACHE_KIB,
                 error)) {
        connection_free(connection);
        return NULL;
    }
    return connection;
}

/* --- opening --- */

/* Within a transaction: what another process does at the same time comes before it or after it. */
static gboolean upgrade(Connection *writer, const char *const *migrations, guint count, GError **error)
{
    const char *path = writer->database->path;
    gint64 version;
    if (!database_number(writer, &version, 0, error, "PRAGMA user_version", "")) {
        return FALSE;
    }
    if (version > count) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_TOO_NEW,
                    "%s: version %" G_GINT64_FORMAT " is newer than this ingotd knows (%u)", path, version, count);
        return FALSE;
    }
    for (gint64 i = version; i < count; i++) {
        g_autofree char *sql = g_strdup_printf("%s; PRAGMA user_version=%" G_GINT64_FORMAT, migrations[i], i + 1);
        if (!execute(writer->handle, path, sql, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean migrate(Database *database, const char *const *migrations, guint count, GError **error)
{
    Connection *writer = database_begin(database, error);
    return writer != NULL && database_end(database, upgrade(writer, migrations, count, error), error);
}

/* While another makes the same new file, SQLite does not wait here by itself. */
static gboolean enter_wal(Database *database, GError **error)
{
    sqlite3 *handle = database->writer->handle;
    gint64 end = g_get_monotonic_time() + BUSY_MSEC * G_TIME_SPAN_MILLISECOND;
    int code;
    while ((code = sqlite3_exec(handle, "PRAGMA journal_mode=WAL", NULL, NULL, NULL)) == SQLITE_BUSY &&
           g_get_monotonic_time() < end) {
        g_usleep(G_TIME_SPAN_MILLISECOND);
    }
    return code == SQLITE_OK || failed(handle, database->path, error);
}

static gboolean open_writer(Database *database, DatabaseKind kind, GError **error)
{
    database->writer = connection_new(database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, error);
    return database->writer != NULL && enter_wal(database, error) &&
           execute(database->writer->handle, database->path, "PRAGMA synchronous=FULL", error) &&
           (kind == DATABASE_PLAIN ||
            execute(database->writer->handle, database->path, "PRAGMA secure_delete=ON", error));
}

Database *database_open(const char *path, DatabaseKind kind, const char *const *migrations, guint count, GError **error)
{
    g_autoptr(Database) database = g_new0(Database, 1);
    g_mutex_init(&database->writing);
    g_mutex_init(&database->lock);
    g_mutex_init(&database->watching);
    g_queue_init(&database->idle);
    database->path = g_strdup(path);
    return open_writer(database, kind, error) && migrate(database, migrations, count, error)
               ? g_steal_pointer(&database)
               : NULL;
}

void database_close(Database *database)
{
    if (database == NULL) {
        return;
    }
    Connection *reader;
    while ((reader = g_queue_pop_head(&database->idle)) != NULL) {
        connection_free(reader);
    }
    connection_free(database->watcher);
    connection_free(database->writer);
    g_mutex_clear(&database->writing);
    g_mutex_clear(&database->lock);
    g_mutex_clear(&database->watching);
    g_free(database->path);
    g_free(database);
}

gboolean database_settle(Database *database, GError **error)
{
    int left = 0;
    g_mutex_lock(&database->writing);
    int code = sqlite3_wal_checkpoint_v2(database->writer->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, &left, NULL);
    gboolean ok = code == SQLITE_OK || failed(database->writer->handle, database->path, error);
    g_mutex_unlock(&database->writing);
    if (ok && left != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %d pages are left in its log", database->path, left);
    }
    return ok && left == 0;
}

/* The whole in one step: a reader of SQLite's log holds nobody up. */
static gboolean copy_pages(sqlite3 *source, sqlite3 *target, const char *to, GError **error)
{
    sqlite3_backup *copy = sqlite3_backup_init(target, "main", source, "main");
    if (copy != NULL) {
        sqlite3_backup_step(copy, -1);
        sqlite3_backup_finish(copy); /* its failure is the target's */
    }
    return sqlite3_errcode(target) == SQLITE_OK || failed(target, to, error);
}

gboolean database_copy(const char *from, const char *to, GError **error)
{
    sqlite3 *source = NULL, *target = NULL;
    static const char *const suffixes[] = {"", "-wal", "-shm"}; /* of a copy that was broken off */
    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *old = g_strconcat(to, suffixes[i], NULL);
        g_unlink(old);
    }
    gboolean ok =
        sqlite3_open_v2(from, &source, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK || failed(source, from, error);
    ok = ok && (sqlite3_open_v2(to, &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK ||
                failed(target, to, error));
    if (ok) {
        sqlite3_busy_timeout(source, BUSY_MSEC);
        ok = copy_pages(source, target, to, error);
    }
    sqlite3_close(target);
    sqlite3_close(source);
    return ok && (g_chmod(to, 0600) == 0 || ingot_error_set_errno(error, errno, "%s", to));
}

static gboolean check_pages(sqlite3 *handle, const char *path, GError **error)
{
    sqlite3_stmt *row = NULL;
    gboolean ok = sqlite3_prepare_v2(handle, "PRAGMA integrity_check(1)", -1, &row, NULL) == SQLITE_OK &&
                  sqlite3_step(row) == SQLITE_ROW;
    g_autofree char *found = ok ? g_strdup((const char *)sqlite3_column_text(row, 0)) : NULL;
    if (!ok) {
        failed(handle, path, error);
    } else if (g_strcmp0(found, "ok") != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: %s", path, found);
    }
    sqlite3_finalize(row);
    return ok && g_strcmp0(found, "ok") == 0;
}

gboolean database_check(const char *path, GError **error)
{
    sqlite3 *handle = NULL;
    g_autofree char *absolute = g_canonicalize_filename(path, NULL), *plain = g_filename_to_uri(absolute, NULL, error);
    if (plain == NULL) {
        return FALSE;
    }
    g_autofree char *uri = g_strconcat(plain, "?immutable=1", NULL); /* no file is made beside it */
    gboolean ok = (sqlite3_open_v2(uri, &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) == SQLITE_OK ||
                   failed(handle, path, error)) &&
                  check_pages(handle, path, error);
    sqlite3_close(handle);
    return ok;
}

/* --- connections --- */

Connection *database_reader(Database *database, GError **error)
{
    g_mutex_lock(&database->lock);
    Connection *reader = g_queue_pop_head(&database->idle);
    g_mutex_unlock(&database->lock);
    return reader != NULL ? reader : connection_new(database, SQLITE_OPEN_READWRITE, error);
}

void database_give_back(Connection *reader)
{
    if (reader != NULL) {
        Database *database = reader->database;
        if (sqlite3_get_autocommit(reader->handle) == 0) {
            sqlite3_exec(reader->handle, "ROLLBACK", NULL, NULL, NULL); /* it was held */
        }
        g_mutex_lock(&database->lock);
        g_queue_push_head(&database->idle, reader);
        g_mutex_unlock(&database->lock);
    }
}

guint64 database_sequence(Database *database)
{
    g_mutex_lock(&database->watching);
    if (database->watcher == NULL) {
        database->watcher = connection_new(database, SQLITE_OPEN_READWRITE, NULL);
        if (database->watcher != NULL) {
            tide_begin(&database->tide, database->watcher->handle);
        }
    }
    database->blind += database->watcher == NULL ? 1 : 0;
    guint64 sequence = database->blind + (database->watcher == NULL ? 0 : tide_sequence(&database->tide));
    g_mutex_unlock(&database->watching);
    return sequence;
}

gboolean database_hold(Connection *reader, GError **error)
{
    return execute(reader->handle, reader->database->path, "BEGIN", error);
}

Connection *database_begin(Database *database, GError **error)
{
    g_mutex_lock(&database->writing);
    if (database_is_stopped(database)) {
        g_mutex_unlock(&database->writing);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "%s: takes no changes since the disk failed in the middle of one; restart ingotd", database->path);
        return NULL;
    }
    if (!execute(database->writer->handle, database->path, "BEGIN IMMEDIATE", error)) {
        g_mutex_unlock(&database->writing);
        return NULL;
    }
    return database->writer;
}

gboolean database_commit(Database *database, GError **error)
{
    sqlite3 *handle = database->writer->handle;
    if (execute(handle, database->path, "COMMIT", error)) {
        return TRUE;
    }
    /* Without room the commit's last frame was not written whole. Anything else may have come after it was. */
    int code = sqlite3_errcode(handle) & 0xff;
    if (code != SQLITE_FULL && code != SQLITE_BUSY && code != SQLITE_CONSTRAINT) {
        g_atomic_int_set(&database->stopped, 1);
        g_warning("%s: a commit failed (%s): no changes are taken until ingotd is started again", database->path,
                  sqlite3_errmsg(handle));
    }
    if (sqlite3_get_autocommit(handle) == 0) {
        database_rollback(database);
    }
    return FALSE;
}

gboolean database_is_stopped(Database *database)
{
    return g_atomic_int_get(&database->stopped) != 0;
}

void database_rollback(Database *database)
{
    sqlite3_exec(database->writer->handle, "ROLLBACK", NULL, NULL, NULL);
}

void database_release(Database *database)
{
    g_mutex_unlock(&database->writing);
}

gboolean database_end(Database *database, gboolean ok, GError **error)
{
    if (ok) {
        ok = database_commit(database, error);
    } else {
        database_rollback(database);
    }
    database_release(database);
    return ok;
}

gboolean database_snapshot(Connection *reader, GError **error)
{
    /* BEGIN alone waits with the state for the first row that is read. */
    return execute(reader->handle, reader->database->path, "BEGIN; SELECT count(*) FROM sqlite_schema", error);
}

void database_snapshot_end(Connection *reader)
{
    sqlite3_exec(reader->handle, "ROLLBACK", NULL, NULL, NULL);
}

/* --- statements --- */

static sqlite3_stmt *prepare(Connection *connection, const char *sql)
{
    sqlite3_stmt *statement = g_hash_table_lookup(connection->statements, sql);
    if (statement == NULL) {
        int code = sqlite3_prepare_v3(connection->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
        if (code != SQLITE_OK) {
            g_warning("%s: %s: %s", connection->database->path, sql, sqlite3_errmsg(connection->handle));
            return NULL;
        }
        g_hash_table_insert(connection->statements, (gpointer)sql, statement);
    }
    return statement;
}

static void bind_one(sqlite3_stmt *statement, int at, char type, va_list *values)
{
    if (type == 'i') {
        sqlite3_bind_int64(statement, at, va_arg(*values, gint64));
    } else if (type == 't') {
        sqlite3_bind_text(statement, at, va_arg(*values, const char *), -1, SQLITE_STATIC);
    } else if (type == 'd') {
        sqlite3_bind_blob(statement, at, va_arg(*values, const IngotDigest *), INGOT_DIGEST_SIZE, SQLITE_STATIC);
    } else {
        const void *data = va_arg(*values, const void *);
        gsize size = va_arg(*values, gsize);
        sqlite3_bind_blob64(statement, at, data == NULL ? "" : data, size, SQLITE_STATIC);
    }
}

static sqlite3_stmt *query(Connection *connection, const char *sql, const char *types, va_list *values)
{
    sqlite3_stmt *statement = prepare(connection, sql);
    for (int i = 0; statement != NULL && types[i] != '\0'; i++) {
        bind_one(statement, i + 1, types[i], values);
    }
    return statement;
}

sqlite3_stmt *database_query(Connection *connection, const char *sql, const char *types, ...)
{
    va_list values;
    va_start(values, types);
    sqlite3_stmt *statement = query(connection, sql, types, &values);
    va_end(values);
    return statement;
}

void database_done(sqlite3_stmt *statement)
{
    if (statement != NULL) {
        sqlite3_reset(statement);
    }
}

gboolean database_step(sqlite3_stmt *statement, GError **error)
{
    int code = statement == NULL ? SQLITE_ERROR : sqlite3_step(statement);
    if (code == SQLITE_ROW || code == SQLITE_DONE) {
        return code == SQLITE_ROW;
    }
    if (statement == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "the database lacks a table or a column");
        return FALSE;
    }
    sqlite3 *handle = sqlite3_db_handle(statement);
    return failed(handle, sqlite3_db_filename(handle, "main"), error);
}

static gboolean run(Connection *connection, GError **error, const char *sql, const char *types, va_list *values)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) statement = query(connection, sql, types, values);
    while (database_step(statement, &problem)) {
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

gboolean database_run(Connection *connection, GError **error, const char *sql, const char *types, ...)
{
    va_list values;
    va_start(values, types);
    gboolean ok = run(connection, error, sql, types, &values);
    va_end(values);
    return ok;
}

gboolean database_change(Database *database, gint64 *changed, GError **error, const char *sql, const char *types, ...)
{
    Connection *writer = database_begin(database, error);
    if (writer == NULL) {
        return FALSE;
    }
    va_list values;
    va_start(values, types);
    gboolean ok = run(writer, error, sql, types, &values);
    va_end(values);
    if (changed != NULL) {
        *changed = database_changes(writer);
    }
    return database_end(database, ok, error);
}

gboolean database_number(Connection *connection, gint64 *number, gint64 otherwise, GError **error, const char *sql,
                         const char *types, ...)
{
    GError *problem = NULL;
    va_list values;
    va_start(values, types);
    g_autoptr(sqlite3_stmt) statement = query(connection, sql, types, &values);
    va_end(values);
    *number = database_step(statement, &problem) ? sqlite3_column_int64(statement, 0) : otherwise;
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

gint64 database_changes(Connection *connection)
{
    return sqlite3_changes64(connection->handle);
}

gint64 database_added(Connection *connection)
{
    return sqlite3_last_insert_rowid(connection->handle);
}

char *database_text(sqlite3_stmt *statement, int column)
{
    return g_strdup((const char *)sqlite3_column_text(statement, column));
}

gboolean database_digest(sqlite3_stmt *statement, int column, IngotDigest *digest)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    if (bytes == NULL || sqlite3_column_bytes(statement, column) != INGOT_DIGEST_SIZE) {
        return FALSE;
    }
    memcpy(digest->bytes, bytes, INGOT_DIGEST_SIZE);
    return TRUE;
}
