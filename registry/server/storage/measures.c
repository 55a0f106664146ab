/* Measures: only a saving of time, so what fails here is as if nothing was kept. */
#include "server/catalogue/measurerows.h"
#include "server/storage/inside.h"

GBytes *storage_measure(Storage *storage, const IngotDigest *manifest, const char *what)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    return reader == NULL ? NULL : measure_rows_find(reader, manifest, what);
}

void storage_keep_measure(Storage *storage, const IngotDigest *manifest, const char *what, GBytes *value)
{
    Change change;
    if (change_begin(storage, &change, NULL)) {
        change_end(&change, measure_rows_put(change.writer, manifest, what, value, NULL), NULL);
    }
}
