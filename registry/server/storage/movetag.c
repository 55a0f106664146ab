#include "server/storage/movetag.h"

#include <ingot/error.h>
#include <string.h>

#include "server/catalogue/manifestrows.h"
#include "server/catalogue/repositories.h"
#include "server/catalogue/tags.h"
#include "server/storage/channels.h"
#include "server/storage/inside.h"
#include "server/storage/mentions.h"

#define NEEDS_MAX (1u << 16)  /* more than any one manifest can name */
#define BYTES_MAX (64u << 20) /* of manifests */

typedef struct {
    GArray *all; /* of Mention, resolved: each that differs once */
    GTree *seen; /* of Mention, as manifests have them: whoever pushes them can choose digests whose hashes are one */
    gsize bytes; /* of the manifests that were read */
} Needs;

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

/* Whether the name's pipeline is the one by which the move was found to be right: another may have been applied while
 * its gates were asked. Without one it is no promotion. */
static gboolean moving_fits(Storage *storage, const StorageMoving *moving, GError **error)
{
    g_autoptr(Pipeline) now = storage_pipeline(storage, moving->name);
    if (moving->pipeline == NULL && pipeline_guards(now, moving->tag)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS,
                    "%s:%s is a channel of a pipeline, which only a promotion moves", moving->name, moving->tag);
        return FALSE;
    }
    if (moving->pipeline != NULL && !pipeline_equal(now, moving->pipeline)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s has another pipeline by now: promote it again",
                    moving->name);
        return FALSE;
    }
    return TRUE;
}

/* The tag names it already: whoever says so once more is told to those who follow, and noted, as of any move. */
static gboolean moving_repeat(Change *change, const StorageMoving *moving, GError **error)
{
    g_autofree char *text = ingot_digest_to_text(moving->to);
    change_log(change, "tag", moving->name, "tag", moving->tag, "digest", text, NULL);
    return !storage_is_channel(change->storage, moving->name, moving->tag) ||
           moves_note(change, moving->name, moving->tag, moving->to, FALSE, error);
}

/* 0 where the one fits what is here wherever the other does. */
static int need_compare(gconstpointer one, gconstpointer other, G_GNUC_UNUSED gpointer data)
{
    const Mention *a = one, *b = other;
    const int orders[] = {memcmp(&a->named.key, &b->named.key, sizeof a->named.key),
                          (a->size > b->size) - (a->size < b->size), a->sized - b->sized, a->manifest - b->manifest,
                          a->elsewhere - b->elsewhere};
    guint at = 0;
    while (at + 1 < G_N_ELEMENTS(orders) && orders[at] == 0) {
        at++;
    }
    return orders[at];
}

static void needs_free(Needs *needs)
{
    g_array_unref(needs->all);
    g_tree_unref(needs->seen);
    g_free(needs);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Needs, needs_free)

static Needs *needs_new(void)
{
    Needs *needs = g_new0(Needs, 1);
    needs->all = g_array_new(FALSE, FALSE, sizeof(Mention));
    needs->seen = g_tree_new_full(need_compare, NULL, g_free, NULL);
    return needs;
}

static gboolean needs_add(Needs *needs, Storage *storage, const Mention *mention, GError **error)
{
    Mention resolved = *mention;
    if (g_tree_lookup(needs->seen, mention) != NULL) {
        return TRUE;
    }
    if (needs->all->len == NEEDS_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                    "it needs more than %u blobs and manifests, and no such image is promoted", NEEDS_MAX);
        return FALSE;
    }
    if (mention->named.is_sha512 && !storage_resolve(storage, &mention->named, &resolved.digest, error)) {
        return FALSE;
    }
    Mention *seen = g_memdup2(mention, sizeof *mention);
    g_tree_insert(needs->seen, seen, seen);
    g_array_append_val(needs->all, resolved);
    return TRUE;
}

/* The bytes of a manifest, which count. */
static GBytes *needs_load(Needs *needs, Storage *storage, const char *name, const IngotDigest *manifest, GError **error)
{
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, manifest, &type, error);
    needs->bytes += bytes == NULL ? 0 : g_bytes_get_size(bytes);
    if (needs->bytes > BYTES_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                    "its manifests are more than %u MiB together, and no such image is promoted", BYTES_MAX >> 20);
        return NULL;
    }
    return g_steal_pointer(&bytes);
}

/* Adds what one manifest mentions. */
static gboolean needs_read(Needs *needs, Storage *storage, const char *name, const IngotDigest *manifest,
                           GError **error)
{
    g_autoptr(GBytes) bytes = needs_load(needs, storage, name, manifest, error);
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
    gboolean ok = TRUE;
    for (guint i = 0; ok && i < mentions->len; i++) {
        ok = needs_add(needs, storage, &g_array_index(mentions, Mention, i), error);
    }
    return ok;
}

/* What the image needs, with what the manifests within it do that are here. */
static Needs *moving_needs(Storage *storage, const StorageMoving *moving, GError **error)
{
    g_autoptr(Needs) needs = needs_new();
    g_autoptr(GHashTable) read = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, NULL);
    gboolean ok = needs_read(needs, storage, moving->name, moving->to, error);
    for (guint i = 0; ok && i < needs->all->len; i++) {
        const Mention need = g_array_index(needs->all, Mention, i);
        if (need.manifest && storage_has_manifest(storage, moving->name, &need.digest) &&
            g_hash_table_add(read, g_memdup2(&need.digest, sizeof need.digest))) {
            ok = needs_read(needs, storage, moving->name, &need.digest, error);
        }
    }
    return ok ? g_steal_pointer(&needs) : NULL;
}

/* NOT_FOUND, with what helps; nothing does where a size is not the one that the manifest says. */
static void moving_refuse(const StorageMoving *moving, const Mention *wrong, const GError *problem, GError **error)
{
    g_autofree char *image = ingot_digest_to_text(moving->to), *text = mention_text(wrong);
    g_autofree char *helps =
        problem->code == INGOT_ERROR_INVALID
            ? g_strdup("")
            : g_strdup_printf(": all of it has to be, for all platforms; GET /v2/%s/%s/%s from this registry brings "
                              "that from an upstream, or ingot push the image",
                              moving->name, wrong->manifest ? "manifests" : "blobs", text);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s@%s is not here as a whole (%s)%s", moving->name, image,
                problem->message, helps);
}

/* As a push of it would have to bring it: from then on no upstream is asked for it. */
static gboolean moving_is_whole(Storage *storage, Connection *connection, const StorageMoving *moving,
                                gint64 repository, const Needs *needs, GError **error)
{
    const Mention *wrong = NULL;
    GError *problem = NULL;
    if (names_has_mentioned(storage, connection, moving->name, repository, needs->all, &wrong, &problem)) {
        return TRUE;
    }
    if (wrong == NULL) {
        g_propagate_error(error, problem);
    } else {
        moving_refuse(moving, wrong, problem, error);
        g_error_free(problem);
    }
    return FALSE;
}

/* Before the change: what is refused keeps nobody from writing. */
static gboolean moving_check(Storage *storage, const StorageMoving *moving, const Needs *needs, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    gint64 repository = reader == NULL ? -1 : repositories_find(reader, moving->name, error);
    return repository >= 0 && moving_is_whole(storage, reader, moving, repository, needs, error);
}

static gboolean moving_apply(Change *change, const StorageMoving *moving, const Needs *needs, GError **error)
{
    Tag old;
    gboolean had = FALSE;
    gint64 repository = repositories_find(change->writer, moving->name, error);
    gint64 blob = repository <= 0 ? repository : names_blob(change->writer, moving->to, error);
    if (blob < 0 || !tags_find(change->writer, moving->name, moving->tag, &old, error) ||
        !moving_is_current(moving, &old, error) || !moving_fits(change->storage, moving, error) ||
        (blob > 0 && !manifest_rows_has(change->writer, repository, blob, &had, error))) {
        return FALSE;
    }
    if (!had) {
        return blob_unknown(error, "the manifest");
    }
    gboolean again = old.found && old.pushed && ingot_digest_equal(&old.digest, moving->to);
    return moving_is_whole(change->storage, change->writer, moving, repository, needs, error) &&
           names_tag(change, moving->name, moving->tag, repository, blob, moving->to, FALSE, FALSE, error) &&
           (!again || moving_repeat(change, moving, error));
}

gboolean storage_move_tag(Storage *storage, const StorageMoving *moving, GError **error)
{
    Change change;
    g_autoptr(Needs) needs = moving_needs(storage, moving, error);
    if (needs == NULL || !moving_check(storage, moving, needs, error) || !change_begin(storage, &change, error)) {
        return FALSE;
    }
    change.actor = moving->actor;
    return change_end(&change, moving_apply(&change, moving, needs, error), error);
}
