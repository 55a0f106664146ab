#include "server/storage/movetag.h"

#include <ingot/error.h>

#include "server/catalogue/manifestrows.h"
#include "server/catalogue/repositories.h"
#include "server/catalogue/tags.h"
#include "server/storage/channels.h"
#include "server/storage/inside.h"
#include "server/storage/mentions.h"

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

/* Adds what one manifest mentions. */
static gboolean moving_add_needs(Storage *storage, const char *name, const IngotDigest *manifest, GArray *needs,
                                 GError **error)
{
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, manifest, &type, error);
    g_autoptr(json_t) root =
        bytes == NULL ? NULL : manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, error);
    if (root == NULL) {
        return FALSE;
    }
    g_autoptr(GArray) mentions = mentions_read(root);
    if (mentions == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "a manifest of %s is malformed", name);
        return FALSE;
    }
    if (!storage_resolve_mentions(storage, mentions, error)) {
        return FALSE;
    }
    g_array_append_vals(needs, mentions->data, mentions->len);
    return TRUE;
}

/* GArray of Mention: what the image needs, with what the manifests within it do that are here. */
static GArray *moving_needs(Storage *storage, const StorageMoving *moving, GError **error)
{
    g_autoptr(GArray) needs = g_array_new(FALSE, FALSE, sizeof(Mention));
    g_autoptr(GHashTable) read = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, NULL);
    gboolean ok = moving_add_needs(storage, moving->name, moving->to, needs, error);
    for (guint i = 0; ok && i < needs->len; i++) {
        const IngotDigest digest = g_array_index(needs, Mention, i).digest;
        if (g_array_index(needs, Mention, i).manifest && storage_has_manifest(storage, moving->name, &digest) &&
            g_hash_table_add(read, g_memdup2(&digest, sizeof digest))) {
            ok = moving_add_needs(storage, moving->name, &digest, needs, error);
        }
    }
    return ok ? g_steal_pointer(&needs) : NULL;
}

/* As a push of it would have to bring it: from then on no upstream is asked for it. */
static gboolean moving_is_whole(Change *change, const StorageMoving *moving, gint64 repository, const GArray *needs,
                                GError **error)
{
    GError *problem = NULL;
    if (names_has_mentioned(change, moving->name, repository, needs, &problem)) {
        return TRUE;
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) ||
        g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INVALID)) {
        g_autofree char *text = ingot_digest_to_text(moving->to);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                    "%s@%s is not here as a whole (%s): pull it from this registry first, or push it", moving->name,
                    text, problem->message);
        g_error_free(problem);
    } else {
        g_propagate_error(error, problem);
    }
    return FALSE;
}

static gboolean moving_apply(Change *change, const StorageMoving *moving, const GArray *needs, GError **error)
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
    return moving_is_whole(change, moving, repository, needs, error) &&
           names_tag(change, moving->name, moving->tag, repository, blob, moving->to, FALSE, FALSE, error) &&
           (!again || moving_repeat(change, moving, error));
}

gboolean storage_move_tag(Storage *storage, const StorageMoving *moving, GError **error)
{
    Change change;
    g_autoptr(GArray) needs = moving_needs(storage, moving, error);
    if (needs == NULL || !change_begin(storage, &change, error)) {
        return FALSE;
    }
    change.actor = moving->actor;
    return change_end(&change, moving_apply(&change, moving, needs, error), error);
}
