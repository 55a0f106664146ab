#include "server/auth/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "server/auth/random.h"

struct Accounts {
    int index;  /* SQLite's index of its log; closed behind the database, whose locks of it would end with it */
    gint never; /* atomic: looks that could not be taken */
    Database *database;
    AccountsMemory memory;
    GMutex keys_lock;
    AccountsKeys keys; /* with those that have ended since */
    gint64 until[ACCOUNTS_KEYS];
    AccountsLook keys_look; /* how the files looked when the keys were read */
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
    /* What was the secret before, and until when it is accepted. */
    "CREATE TABLE former (id INTEGER PRIMARY KEY, key BLOB NOT NULL, until INTEGER NOT NULL) STRICT;",
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

/* --- keys --- */

/* The secret first, then the former ones, the newest first. */
static gboolean read_keys(Accounts *accounts, GError **error)
{
    g_autoptr(Connection) reader = database_reader(accounts->database, error);
    if (reader == NULL) {
        return FALSE;
    }
    GError *problem = NULL;
    g_auto(AccountsKeys) keys = {0};
    g_autoptr(sqlite3_stmt) rows = database_query(
        reader,
        "SELECT key, until FROM (SELECT key, 0 AS until, 0 AS age, 0 AS id FROM secret UNION ALL SELECT key, until, 1,"
        " id FROM former) ORDER BY age, id DESC",
        "");
    while (keys.count < ACCOUNTS_KEYS && database_step(rows, &problem)) {
        if (sqlite3_column_bytes(rows, 0) == ACCOUNTS_KEY_SIZE) {
            memcpy(keys.bytes[keys.count], sqlite3_column_blob(rows, 0), ACCOUNTS_KEY_SIZE);
            accounts->until[keys.count++] = sqlite3_column_int64(rows, 1);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    accounts->keys = keys;
    return TRUE;
}

/* Of several processes that open a new file one gives the key, and all read that. */
static gboolean load_keys(Accounts *accounts, const char *path, GError **error)
{
    guint8 fresh[ACCOUNTS_KEY_SIZE];
    if (!random_bytes(fresh, sizeof fresh, error) ||
        !database_change(accounts->database, NULL, error,
                         "INSERT INTO secret (id, key) VALUES (1, ?) ON CONFLICT DO NOTHING", "b", (const void *)fresh,
                         sizeof fresh)) {
        return FALSE;
    }
    accounts_look(accounts, &accounts->keys_look);
    if (!read_keys(accounts, error)) {
        return FALSE;
    }
    if (accounts->keys.count == 0 || accounts->until[0] != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: its key is damaged", path);
        return FALSE;
    }
    return TRUE;
}

void accounts_keys(Accounts *accounts, AccountsKeys *keys)
{
    AccountsLook look;
    g_autoptr(GError) problem = NULL;
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    memset(keys, 0, sizeof *keys);
    accounts_look(accounts, &look);
    g_mutex_lock(&accounts->keys_lock);
    if (memcmp(&look, &accounts->keys_look, sizeof look) != 0) {
        if (read_keys(accounts, &problem)) {
            accounts->keys_look = look;
        } else {
            g_warning("the keys can't be read again: %s", problem->message); /* those that were known serve on */
        }
    }
    for (guint i = 0; i < accounts->keys.count; i++) {
        if (i == 0 || accounts->until[i] > now) {
            memcpy(keys->bytes[keys->count++], accounts->keys.bytes[i], ACCOUNTS_KEY_SIZE);
        }
    }
    g_mutex_unlock(&accounts->keys_lock);
}

void accounts_keys_clear(AccountsKeys *keys)
{
    explicit_bzero(keys, sizeof *keys);
}

static gboolean rotate(Connection *writer, const guint8 *fresh, gint64 now, gint64 until, GError **error)
{
    return database_run(writer, error, "INSERT INTO former (key, until) SELECT key, ? FROM secret", "i", until) &&
           database_run(writer, error, "UPDATE former SET until=?1 WHERE until>?1", "i", until) &&
           database_run(writer, error, "DELETE FROM former WHERE until<=?", "i", now) &&
           database_run(writer, error,
                        "DELETE FROM former WHERE id NOT IN (SELECT id FROM former ORDER BY id DESC LIMIT ?)", "i",
                        (gint64)ACCOUNTS_KEYS - 1) &&
           database_run(writer, error, "UPDATE secret SET key=? WHERE id=1", "b", (const void *)fresh,
                        (gsize)ACCOUNTS_KEY_SIZE);
}

gboolean accounts_rotate(Accounts *accounts, gint64 until, GError **error)
{
    guint8 fresh[ACCOUNTS_KEY_SIZE];
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    Connection *writer = random_bytes(fresh, sizeof fresh, error) ? database_begin(accounts->database, error) : NULL;
    gboolean ok = writer != NULL && database_end(accounts->database, rotate(writer, fresh, now, until, error), error);
    explicit_bzero(fresh, sizeof fresh);
    return ok;
}

gboolean accounts_renew_key(Accounts *accounts, GError **error)
{
    return accounts_rotate(accounts, 0, error);
}

gboolean accounts_former_keys(Accounts *accounts, guint *count, gint64 *until, GError **error)
{
    gint64 number;
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    g_autoptr(Connection) reader = database_reader(accounts->database, error);
    if (reader == NULL ||
        !database_number(reader, &number, 0, error, "SELECT count(*) FROM former WHERE until>?", "i", now) ||
        !database_number(reader, until, 0, error, "SELECT coalesce(max(until), 0) FROM former WHERE until>?", "i",
                         now)) {
        return FALSE;
    }
    *count = (guint)number;
    return TRUE;
}

/* --- opening --- */

Accounts *accounts_open(const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(folder, "users.sqlite", NULL);
    if (!make_file(folder, path, error)) {
        return NULL;
    }
    g_autoptr(Accounts) accounts = g_new0(Accounts, 1);
    accounts->index = -1;
    g_mutex_init(&accounts->memory.lock);
    g_mutex_init(&accounts->keys_lock);
    accounts->database = database_open(path, DATABASE_SECRET, migrations, G_N_ELEMENTS(migrations), error);
    if (accounts->database == NULL) {
        return NULL;
    }
    g_autofree char *index = g_strconcat(path, "-shm", NULL);
    accounts->index = open(index, O_RDONLY | O_CLOEXEC);
    return load_keys(accounts, path, error) ? g_steal_pointer(&accounts) : NULL;
}

void accounts_close(Accounts *accounts)
{
    if (accounts != NULL) {
        database_close(accounts->database);
        accounts_keys_clear(&accounts->keys);
        g_mutex_clear(&accounts->keys_lock);
        g_clear_pointer(&accounts->memory.rows, g_hash_table_unref);
        g_mutex_clear(&accounts->memory.lock);
        if (accounts->index >= 0) {
            close(accounts->index);
        }
        g_free(accounts);
    }
}

Database *accounts_database(const Accounts *accounts)
{
    return accounts->database;
}

/* One that can't be taken is like no other. */
void accounts_look(Accounts *accounts, AccountsLook *look)
{
    memset(look, 0, sizeof *look);
    if (accounts->index < 0 || pread(accounts->index, look->head, ACCOUNTS_LOOK, 0) != ACCOUNTS_LOOK) {
        gint never = g_atomic_int_add(&accounts->never, 1);
        memset(look, 0xff, sizeof *look);
        memcpy(look->head, &never, sizeof never);
    }
}

AccountsMemory *accounts_memory(Accounts *accounts)
{
    return &accounts->memory;
}
