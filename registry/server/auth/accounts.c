#include "server/auth/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_MS 10000

struct Accounts {
    char *path;
    sqlite3 *database;
    GMutex lock;
    guint8 key[ACCOUNTS_KEY_SIZE];
};

/* The schema grows here alone: PRAGMA user_version counts the steps that a file has gone. */
static const char *const migrations[] = {
    "CREATE TABLE users (name TEXT PRIMARY KEY, serial INTEGER NOT NULL, password TEXT NOT NULL, scopes TEXT NOT NULL, "
    "created INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE tokens (id TEXT PRIMARY KEY, hash BLOB NOT NULL, user TEXT NOT NULL REFERENCES users (name) "
    "ON DELETE CASCADE, scopes TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT, WITHOUT "
    "ROWID;"
    "CREATE INDEX tokens_user ON tokens (user);"
    "CREATE TABLE secret (id INTEGER PRIMARY KEY CHECK (id = 1), key BLOB NOT NULL) STRICT;",
};

static gboolean failed(const Accounts *accounts, GError **error)
{
    int code = sqlite3_errcode(accounts->database) & 0xff;
    g_set_error(error, INGOT_ERROR,
                code == SQLITE_FULL                                  ? INGOT_ERROR_NO_SPACE
                : code == SQLITE_CANTOPEN || code == SQLITE_READONLY ? INGOT_ERROR_DENIED
                : code == SQLITE_CORRUPT || code == SQLITE_NOTADB    ? INGOT_ERROR_CORRUPT
                                                                     : INGOT_ERROR_FAILED,
                "%s: %s", accounts->path, sqlite3_errmsg(accounts->database));
    return FALSE;
}

static gboolean run(const Accounts *accounts, const char *sql, GError **error)
{
    return sqlite3_exec(accounts->database, sql, NULL, NULL, NULL) == SQLITE_OK || failed(accounts, error);
}

gboolean accounts_random(guint8 *bytes, gsize size, GError **error)
{
    /* Up to 256 bytes come whole. */
    return getrandom(bytes, size, 0) == (gssize)size || ingot_error_set_errno(error, errno, "getrandom");
}

/* --- statements --- */

static sqlite3_stmt *prepare(Accounts *accounts, GError **error, const char *sql, const char *types, va_list values)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(accounts->database, sql, -1, &statement, NULL) != SQLITE_OK) {
        failed(accounts, error);
        return NULL;
    }
    for (int i = 0; types[i] != '\0'; i++) {
        if (types[i] == 's') {
            sqlite3_bind_text(statement, i + 1, va_arg(values, const char *), -1, SQLITE_STATIC);
        } else if (types[i] == 'i') {
            sqlite3_bind_int64(statement, i + 1, va_arg(values, gint64));
        } else {
            const void *data = va_arg(values, const void *);
            sqlite3_bind_blob64(statement, i + 1, data, va_arg(values, gsize), SQLITE_STATIC);
        }
    }
    return statement;
}

sqlite3_stmt *accounts_begin(Accounts *accounts, GError **error, const char *sql, const char *types, ...)
{
    g_mutex_lock(&accounts->lock);
    va_list values;
    va_start(values, types);
    sqlite3_stmt *statement = prepare(accounts, error, sql, types, values);
    va_end(values);
    return statement;
}

int accounts_step(Accounts *accounts, sqlite3_stmt *statement, GError **error)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW || code == SQLITE_DONE) {
        return code;
    }
    failed(accounts, error);
    return 0;
}

void accounts_end(Accounts *accounts, sqlite3_stmt *statement)
{
    sqlite3_finalize(statement);
    g_mutex_unlock(&accounts->lock);
}

gboolean accounts_change(Accounts *accounts, int *changed, GError **error, const char *sql, const char *types, ...)
{
    g_mutex_lock(&accounts->lock);
    va_list values;
    va_start(values, types);
    sqlite3_stmt *statement = prepare(accounts, error, sql, types, values);
    va_end(values);
    gboolean ok = statement != NULL && accounts_step(accounts, statement, error) == SQLITE_DONE;
    if (changed != NULL) {
        *changed = sqlite3_changes(accounts->database);
    }
    accounts_end(accounts, statement);
    return ok;
}

char *accounts_text(sqlite3_stmt *statement, int column)
{
    return g_strdup((const char *)sqlite3_column_text(statement, column));
}

/* --- opening --- */

/* The file is made before SQLite opens it, so that nobody else can ever read it; root gives it to whom the folder
 * belongs, as SQLite does with what it puts beside it: the server seldom is root. */
static gboolean make_file(const char *folder, const char *path, GError **error)
{
    struct stat st;
    if (!g_file_test(folder, G_FILE_TEST_EXISTS) &&
        (!ingot_file_make_folder(folder, error) || chmod(folder, 0700) != 0)) {
        return FALSE;
    }
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR | O_CREAT, 0600, error);
    if (fd < 0) {
        return FALSE;
    }
    return geteuid() != 0 || (stat(folder, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0) ||
           ingot_error_set_errno(error, errno, "%s", path);
}

static gboolean read_version(Accounts *accounts, gint64 *version, GError **error)
{
    sqlite3_stmt *statement = accounts_begin(accounts, error, "PRAGMA user_version", "");
    gboolean ok = statement != NULL && accounts_step(accounts, statement, error) == SQLITE_ROW;
    *version = ok ? sqlite3_column_int64(statement, 0) : 0;
    accounts_end(accounts, statement);
    return ok;
}

static gboolean migrate(Accounts *accounts, GError **error)
{
    gint64 version;
    if (!read_version(accounts, &version, error)) {
        return FALSE;
    }
    if (version > (gint64)G_N_ELEMENTS(migrations)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_TOO_NEW,
                    "%s: written by a newer ingotd (version %" G_GINT64_FORMAT ")", accounts->path, version);
        return FALSE;
    }
    for (gsize i = (gsize)version; i < G_N_ELEMENTS(migrations); i++) {
        g_autofree char *count = g_strdup_printf("PRAGMA user_version = %" G_GSIZE_FORMAT, i + 1);
        if (!run(accounts, migrations[i], error) || !run(accounts, count, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean load_key(Accounts *accounts, GError **error)
{
    guint8 fresh[ACCOUNTS_KEY_SIZE];
    if (!accounts_random(fresh, sizeof fresh, error) ||
        !accounts_change(accounts, NULL, error, "INSERT OR IGNORE INTO secret (id, key) VALUES (1, ?)", "b",
                         (const void *)fresh, sizeof fresh)) {
        return FALSE;
    }
    sqlite3_stmt *statement = accounts_begin(accounts, error, "SELECT key FROM secret", "");
    gboolean ok = statement != NULL && accounts_step(accounts, statement, error) == SQLITE_ROW &&
                  sqlite3_column_bytes(statement, 0) == ACCOUNTS_KEY_SIZE;
    if (ok) {
        memcpy(accounts->key, sqlite3_column_blob(statement, 0), ACCOUNTS_KEY_SIZE);
    } else if (error != NULL && *error == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: its key is damaged", accounts->path);
    }
    accounts_end(accounts, statement);
    return ok;
}

/* In one transaction, so that two processes that open a new file at once do it one after the other. */
static gboolean prepare_schema(Accounts *accounts, GError **error)
{
    if (!run(accounts, "BEGIN IMMEDIATE", error)) {
        return FALSE;
    }
    gboolean ok = migrate(accounts, error) && load_key(accounts, error) && run(accounts, "COMMIT", error);
    if (!ok) {
        run(accounts, "ROLLBACK", NULL);
    }
    return ok;
}

Accounts *accounts_open(const char *folder, GError **error)
{
    g_autoptr(Accounts) accounts = g_new0(Accounts, 1);
    g_mutex_init(&accounts->lock);
    accounts->path = g_build_filename(folder, "users.sqlite", NULL);
    if (!make_file(folder, accounts->path, error)) {
        return NULL;
    }
    if (sqlite3_open_v2(accounts->path, &accounts->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) !=
        SQLITE_OK) {
        failed(accounts, error);
        return NULL;
    }
    sqlite3_busy_timeout(accounts->database, BUSY_MS);
    return run(accounts,
               "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; "
               "PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON",
               error) &&
                   prepare_schema(accounts, error)
               ? g_steal_pointer(&accounts)
               : NULL;
}

void accounts_close(Accounts *accounts)
{
    if (accounts != NULL) {
        sqlite3_close(accounts->database);
        explicit_bzero(accounts->key, sizeof accounts->key);
        g_mutex_clear(&accounts->lock);
        g_free(accounts->path);
        g_free(accounts);
    }
}

const guint8 *accounts_key(const Accounts *accounts)
{
    return accounts->key;
}
