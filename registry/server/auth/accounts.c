#include "server/auth/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/auth/random.h"

struct Accounts {
    char *log; /* path */
    Database *database;
    AccountsMemory memory;
    guint8 key[ACCOUNTS_KEY_SIZE];
};

/* A released one is never changed, only followed. */
static const char *const migrations[] = {
    "CREATE TABLE users (name TEXT PRIMARY KEY, serial INTEGER NOT NULL, password TEXT NOT NULL, scopes TEXT NOT NULL, "
    "created INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE tokens (id TEXT PRIMARY KEY, hash BLOB NOT NULL, user TEXT NOT NULL REFERENCES users (name) "
    "ON DELETE CASCADE, scopes TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT, WITHOUT "
    "ROWID;"
    "CREATE INDEX tokens_user ON tokens (user);"
    "CREATE TABLE secret (id INTEGER PRIMARY KEY CHECK (id = 1), key BLOB NOT NULL) STRICT;",
};

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

/* Of several processes that open a new file one gives the key, and all read that. */
static gboolean load_key(Accounts *accounts, const char *path, GError **error)
{
    guint8 fresh[ACCOUNTS_KEY_SIZE];
    if (!random_bytes(fresh, sizeof fresh, error) ||
        !database_change(accounts->database, NULL, error,
                         "INSERT INTO secret (id, key) VALUES (1, ?) ON CONFLICT DO NOTHING", "b", (const void *)fresh,
                         sizeof fresh)) {
        return FALSE;
    }
    g_autoptr(Connection) reader = database_reader(accounts->database, error);
    if (reader == NULL) {
        return FALSE;
    }
    g_autoptr(sqlite3_stmt) row = database_query(reader, "SELECT key FROM secret", "");
    GError *problem = NULL;
    gboolean ok = database_step(row, &problem) && sqlite3_column_bytes(row, 0) == ACCOUNTS_KEY_SIZE;
    if (ok) {
        memcpy(accounts->key, sqlite3_column_blob(row, 0), ACCOUNTS_KEY_SIZE);
    } else if (problem != NULL) {
        g_propagate_error(error, problem);
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: its key is damaged", path);
    }
    return ok;
}

gboolean accounts_renew_key(Accounts *accounts, GError **error)
{
    guint8 fresh[ACCOUNTS_KEY_SIZE];
    gboolean ok = random_bytes(fresh, sizeof fresh, error) &&
                  database_change(accounts->database, NULL, error, "UPDATE secret SET key = ?", "b",
                                  (const void *)fresh, sizeof fresh);
    if (ok) {
        memcpy(accounts->key, fresh, sizeof fresh);
    }
    explicit_bzero(fresh, sizeof fresh);
    return ok;
}

Accounts *accounts_open(const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(folder, "users.sqlite", NULL);
    if (!make_file(folder, path, error)) {
        return NULL;
    }
    g_autoptr(Accounts) accounts = g_new0(Accounts, 1);
    accounts->log = g_strconcat(path, "-wal", NULL);
    g_mutex_init(&accounts->memory.lock);
    accounts->database = database_open(path, DATABASE_SECRET, migrations, G_N_ELEMENTS(migrations), error);
    return accounts->database != NULL && load_key(accounts, path, error) ? g_steal_pointer(&accounts) : NULL;
}

void accounts_close(Accounts *accounts)
{
    if (accounts != NULL) {
        database_close(accounts->database);
        explicit_bzero(accounts->key, sizeof accounts->key);
        g_mutex_clear(&accounts->memory.lock);
        g_free(accounts->log);
        g_free(accounts);
    }
}

Database *accounts_database(const Accounts *accounts)
{
    return accounts->database;
}

const guint8 *accounts_key(const Accounts *accounts)
{
    return accounts->key;
}

void accounts_look(const Accounts *accounts, AccountsLook *look)
{
    struct stat st;
    memset(look, 0, sizeof *look);
    if (stat(accounts->log, &st) == 0) {
        look->size = (guint64)st.st_size;
        look->time = (guint64)st.st_mtim.tv_sec * 1000000000u + (guint64)st.st_mtim.tv_nsec;
        look->file = st.st_ino;
    }
}

AccountsMemory *accounts_memory(Accounts *accounts)
{
    return &accounts->memory;
}
