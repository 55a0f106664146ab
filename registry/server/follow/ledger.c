#include "server/follow/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* A released one is never changed, only followed. */
static const char *const migrations[] = {
    "CREATE TABLE hosts (name TEXT NOT NULL, channel TEXT NOT NULL, host TEXT NOT NULL, grp TEXT NOT NULL,"
    " digest TEXT NOT NULL, result TEXT NOT NULL, failure TEXT NOT NULL, since INTEGER NOT NULL, seen INTEGER NOT NULL,"
    " PRIMARY KEY (name, channel, host)) STRICT, WITHOUT ROWID;",
    /* Each user's word of a host is kept apart. What was there does not say whose it was; hosts report again. */
    "DROP TABLE hosts;"
    "CREATE TABLE hosts (name TEXT NOT NULL, channel TEXT NOT NULL, host TEXT NOT NULL, user TEXT NOT NULL,"
    " grp TEXT NOT NULL, digest TEXT NOT NULL, result TEXT NOT NULL, failure TEXT NOT NULL, since INTEGER NOT NULL,"
    " seen INTEGER NOT NULL, PRIMARY KEY (name, channel, host, user)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX hosts_of_names ON hosts (name, user, seen);"
    "CREATE INDEX hosts_of_users ON hosts (user, seen);"
    "CREATE INDEX hosts_seen ON hosts (seen);",
    /* What a host has failed with last and not done since, and the move of the channel that it was. */
    "ALTER TABLE hosts ADD COLUMN failed TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE hosts ADD COLUMN failed_move INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX hosts_failed ON hosts (name, channel, failed_move) WHERE failed<>'';",
    /* place: the last event that is done with; tries and since: how often and since when the next one failed. */
    "CREATE TABLE hooks (id INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL, pattern TEXT NOT NULL,"
    " kinds TEXT NOT NULL, secret TEXT NOT NULL, private INTEGER NOT NULL, http INTEGER NOT NULL,"
    " created INTEGER NOT NULL, place INTEGER NOT NULL, tries INTEGER NOT NULL, since INTEGER NOT NULL) STRICT;"
    "CREATE TABLE deliveries (hook INTEGER NOT NULL REFERENCES hooks ON DELETE CASCADE, number INTEGER NOT NULL,"
    " at INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, status INTEGER NOT NULL, ms INTEGER NOT NULL,"
    " tries INTEGER NOT NULL, answer TEXT NOT NULL, outcome TEXT NOT NULL, PRIMARY KEY (hook, number)) STRICT,"
    " WITHOUT ROWID;"
    "CREATE TABLE secrets (name TEXT PRIMARY KEY, secret TEXT NOT NULL, private INTEGER NOT NULL,"
    " http INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
    /* A secret is for one URL. What was there does not say which; its owner puts it there again. */
    "DROP TABLE secrets;"
    "CREATE TABLE secrets (name TEXT PRIMARY KEY, secret TEXT NOT NULL, url TEXT NOT NULL, pattern TEXT NOT NULL,"
    " private INTEGER NOT NULL, http INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
    /* The move of the channel as a host said that its command runs. */
    "ALTER TABLE hosts ADD COLUMN begun_move INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX hosts_begun ON hosts (name, channel, begun_move) WHERE result='running';",
    /* Hosts of one name are told apart by an id, where they say one. */
    "ALTER TABLE hosts RENAME TO hosts_before;"
    "CREATE TABLE hosts (name TEXT NOT NULL, channel TEXT NOT NULL, host TEXT NOT NULL, id TEXT NOT NULL DEFAULT '',"
    " user TEXT NOT NULL, grp TEXT NOT NULL, digest TEXT NOT NULL, result TEXT NOT NULL, failure TEXT NOT NULL,"
    " since INTEGER NOT NULL, seen INTEGER NOT NULL, failed TEXT NOT NULL DEFAULT '',"
    " failed_move INTEGER NOT NULL DEFAULT 0, begun_move INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY (name, channel, host, id, user)) STRICT, WITHOUT ROWID;"
    "INSERT INTO hosts (name, channel, host, user, grp, digest, result, failure, since, seen, failed, failed_move,"
    " begun_move) SELECT name, channel, host, user, grp, digest, result, failure, since, seen, failed, failed_move,"
    " begun_move FROM hosts_before;"
    "DROP TABLE hosts_before;"
    "CREATE INDEX hosts_of_names ON hosts (name, user, seen);"
    "CREATE INDEX hosts_of_users ON hosts (user, seen);"
    "CREATE INDEX hosts_seen ON hosts (seen);"
    "CREATE INDEX hosts_failed ON hosts (name, channel, failed_move) WHERE failed<>'';"
    "CREATE INDEX hosts_begun ON hosts (name, channel, begun_move) WHERE result='running';",
};

/* Nobody else can ever read it: it holds secrets. Root gives it to whom the folder belongs. */
static gboolean ledger_make(const char *folder, const char *path, GError **error)
{
    struct stat st;
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR | O_CREAT, 0600, error);
    if (fd < 0) {
        return FALSE;
    }
    if (geteuid() == 0 && (stat(folder, &st) != 0 || fchown(fd, st.st_uid, st.st_gid) != 0)) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    return TRUE;
}

Database *ledger_open(const char *data, GError **error)
{
    g_autofree char *path = g_build_filename(data, "follow.sqlite", NULL);
    return ledger_make(data, path, error)
               ? database_open(path, DATABASE_SECRET, migrations, G_N_ELEMENTS(migrations), error)
               : NULL;
}
