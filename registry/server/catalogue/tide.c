#include "server/catalogue/tide.h"

#include <string.h>

#define REGION 32768 /* bytes that SQLite maps at once */

/* PRAGMA data_version; -1: it can't be told. */
static gint64 tide_ask(sqlite3 *handle)
{
    sqlite3_stmt *statement = NULL;
    gint64 version = -1;
    if (sqlite3_prepare_v2(handle, "PRAGMA data_version", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        version = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return version;
}

static const volatile guint32 *tide_header(sqlite3 *handle)
{
    sqlite3_file *file = NULL;
    volatile void *region = NULL;
    if (sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || file == NULL ||
        file->pMethods == NULL || file->pMethods->iVersion < 2 ||
        file->pMethods->xShmMap(file, 0, REGION, 0, &region) != SQLITE_OK) {
        return NULL;
    }
    return region;
}

void tide_begin(Tide *tide, sqlite3 *handle)
{
    *tide = (Tide){.handle = handle, .version = tide_ask(handle), .sequence = 1}; /* asked: SQLite has its log open */
    tide->header = tide->version < 0 ? NULL : tide_header(handle);
}

static gboolean tide_has_turned(Tide *tide)
{
    gboolean turned = FALSE;
    for (guint i = 0; i < TIDE_WORDS; i++) {
        guint32 now = __atomic_load_n(&tide->header[i], __ATOMIC_ACQUIRE);
        turned |= now != tide->seen[i];
        tide->seen[i] = now;
    }
    return turned;
}

guint64 tide_sequence(Tide *tide)
{
    if (tide->header != NULL) {
        tide->sequence += tide_has_turned(tide) ? 1 : 0;
        return tide->sequence;
    }
    gint64 version = tide_ask(tide->handle);
    if (version < 0 || version != tide->version) {
        tide->sequence++;
        tide->version = version;
    }
    return tide->sequence;
}
