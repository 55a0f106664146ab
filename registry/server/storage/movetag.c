#include "server/storage/movetag.h"

#include <ingot/error.h>

#include "server/catalogue/manifestrows.h"
#include "server/catalogue/repositories.h"
#include "server/catalogue/tags.h"
#include "server/storage/inside.h"

/* Whether the tag names what is expected of it. */
static gboolean moving_is_current(const StorageMoving *moving, const Tag *old, GError **error)
{
    gboolean current =
        moving->expected == NULL ? !old->found : old->found && ingot_digest_equal(&old->digest, moving->expected);
    if (!current) {
        g_autofree char *text = old->found ? ingot_digest_to_text(&old->digest) : NULL;
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s:%s is %s by now", moving->name, moving->tag,
                    text == NULL ? "gone" : text);
    }
    return current;
}

static gboolean moving_apply(Change *change, const StorageMoving *moving, GError **error)
{
    Tag old;
    gboolean had = FALSE;
    gint64 repository = repositories_find(change->writer, moving->name, error);
    gint64 blob = repository <= 0 ? repository : names_blob(change->writer, moving->to, error);
    if (blob < 0 || !tags_find(change->writer, moving->name, moving->tag, &old, error) ||
        !moving_is_current(moving, &old, error) ||
        (blob > 0 && !manifest_rows_has(change->writer, repository, blob, &had, error))) {
        return FALSE;
    }
    return had ? names_tag(change, moving->name, moving->tag, repository, blob, moving->to, FALSE, FALSE, error)
               : blob_unknown(error, "the manifest");
}

gboolean storage_move_tag(Storage *storage, const StorageMoving *moving, GError **error)
{
    Change change;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    change.actor = moving->actor;
    return change_end(&change, moving_apply(&change, moving, error), error);
}
