#include "server/storage/agenda.h"

#include <string.h>

#include "server/catalogue/diary.h"
#include "server/storage/inside.h"

static const struct {
    const char *key;
    gsize offset;
} entries[] = {
    {"collected", G_STRUCT_OFFSET(Agenda, collected)},
    {"scrubbed", G_STRUCT_OFFSET(Agenda, scrubbed)},
    {"scrub-pack", G_STRUCT_OFFSET(Agenda, place.pack)},
    {"scrub-offset", G_STRUCT_OFFSET(Agenda, place.offset)},
    {"scrub-pieces", G_STRUCT_OFFSET(Agenda, so_far.pieces)},
    {"scrub-bytes", G_STRUCT_OFFSET(Agenda, so_far.bytes)},
    {"scrub-damaged", G_STRUCT_OFFSET(Agenda, so_far.damaged)},
    {"scrub-repaired", G_STRUCT_OFFSET(Agenda, so_far.repaired)},
    {"scrub-inconsistencies", G_STRUCT_OFFSET(Agenda, so_far.inconsistencies)},
};

void agenda_read(Storage *storage, Agenda *agenda)
{
    memset(agenda, 0, sizeof *agenda);
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    for (guint i = 0; reader != NULL && i < G_N_ELEMENTS(entries); i++) {
        diary_get(reader, entries[i].key, 0, G_STRUCT_MEMBER_P(agenda, entries[i].offset), NULL);
    }
}

gboolean agenda_write(Storage *storage, const Agenda *agenda, GError **error)
{
    Change change;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    gboolean ok = TRUE;
    for (guint i = 0; ok && i < G_N_ELEMENTS(entries); i++) {
        ok = diary_set(change.writer, entries[i].key, *(const gint64 *)G_STRUCT_MEMBER_P(agenda, entries[i].offset),
                       error);
    }
    return change_end(&change, ok, error);
}
