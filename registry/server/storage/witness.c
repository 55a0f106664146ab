#include "server/storage/witness.h"

#include <unistd.h>

#include "server/catalogue/database.h"
#include "server/catalogue/logmark.h"
#include "server/catalogue/schema.h"

gboolean witness_read(const char *path, EventMark *mark)
{
    LogMarkKind kind = LOGMARK_NONE;
    g_autofree char *from = g_build_filename(path, "catalogue.sqlite", NULL);
    g_autofree char *id = g_uuid_string_random(), *name = g_strconcat("catalogue.sqlite.witness-", id, NULL);
    g_autofree char *copy = g_build_filename(path, name, NULL);
    if (!g_file_test(from, G_FILE_TEST_EXISTS)) {
        return FALSE;
    }
    if (database_copy(from, copy, NULL)) {
        g_autoptr(Database) database = database_open(copy, DATABASE_PLAIN, schema_migrations, schema_count, NULL);
        g_autoptr(Connection) reader = database == NULL ? NULL : database_reader(database, NULL);
        if (reader == NULL || !logmark_get(reader, mark, &kind, NULL)) {
            kind = LOGMARK_NONE;
        }
    }
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *file = g_strconcat(copy, suffixes[i], NULL);
        unlink(file);
    }
    return kind == LOGMARK_KNOWN;
}
