#include "server/storage/changes.h"

#include "server/catalogue/logmark.h"
#include "server/storage/inside.h"

guint64 storage_sequence(Storage *storage)
{
    return database_sequence(storage->catalogue);
}

gboolean storage_last_event(Storage *storage, guint64 *number, GError **error)
{
    EventMark mark = {0};
    LogMarkKind kind;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    gboolean ok = reader != NULL && logmark_get(reader, &mark, &kind, error);
    *number = mark.number;
    return ok;
}
