#include "server/storage/movetag.h"

#include <ingot/error.h>

#include "server/catalogue/manifestrows.h"
#include "server/catalogue/repositories.h"
#include "server/catalogue/tags.h"
#include "server/storage/channels.h"
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

/* The tag names it already: whoever says so once more is told to those who follow, and noted, as of any move. */
static gboolean moving_repeat(Change *change, const StorageMoving *moving, GError **error)
{
    g_autofree char *text = ingot_digest_to_text(moving->to);
    change_log(change, "tag", moving->name, "tag", moving->tag, "digest", text, NULL);
    return !storage_is_channel(change->storage, moving->name, moving->tag) ||
           moves_note(change, moving->name, moving->tag, moving->to, FALSE, error);
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
    if (!had) {
        return blob_unknown(error, "the manifest");
    }
    gboolean again = old.found && old.pushed && ingot_digest_equal(&old.digest, moving->to);
    return names_tag(change, moving->name, moving->tag, repository, blob, moving->to, FALSE, FALSE, error) &&
           (!again || moving_repeat(change, moving, error));
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
