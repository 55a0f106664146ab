#include "server/storage/release.h"

#include <ingot/error.h>

#include "server/catalogue/baserows.h"
#include "server/catalogue/links.h"
#include "server/catalogue/used.h"
#include "server/storage/channels.h"
#include "server/storage/pulls.h"
#include "server/storage/readers.h"

#define BATCH 64         /* blobs that are deleted in one change */
#define HISTORY_MAX 1000 /* manifests that one tag named before */

/* What is being released of one repository. */
typedef struct {
    Collection *collection;
    const Picture *picture;
    GHashTable *going; /* const IngotDigest *: manifests that have still to go */
} Release;

/* --- tags --- */

/* A channel may have been promoted to the version since; what is evicted may have been pushed, and so may what the tag
 * is about; a pipeline may guard the tag by now. */
static gboolean version_is_free(const Release *release, const PictureTag *tag, gboolean *free, GError **error)
{
    const Change *change = &release->collection->change;
    const Picture *picture = release->picture;
    const HoldingLink *link = picture_item(picture, tag->item)->link;
    g_autoptr(Pipeline) pipeline = storage_pipeline(release->collection->storage, picture->name);
    g_autofree const char **channels = pipeline_names(pipeline);
    gint64 count;
    gboolean ok = holdings_names(change->writer, picture->repository, link->blob, tag->tag->name, &count, error);
    *free = ok && count > 0;
    if (ok && picture_item(picture, tag->item)->evicted) {
        *free = *free && !pipeline_guards(pipeline, tag->tag->name);
        return !*free || cached_has(change->writer, picture->repository, &link->digest, free, error);
    }
    for (guint i = 0; ok && *free && channels[i] != NULL; i++) {
        ok = holdings_names(change->writer, picture->repository, link->blob, channels[i], &count, error);
        *free = count == 0;
    }
    if (ok && *free && tag->companion) {
        gint64 id, blob;
        ok = links_find(change->writer, picture->name, &tag->subject, &id, &blob, error);
        *free = blob == 0;
    }
    return ok;
}

static gboolean release_tag(const Release *release, const PictureTag *tag, GError **error)
{
    Collection *collection = release->collection;
    const Picture *picture = release->picture;
    gboolean free = TRUE;
    if (!collection->options->dry_run) {
        if (!collection_change(collection, error) || !version_is_free(release, tag, &free, error) ||
            (free && !names_untag(&collection->change, picture->name, picture->repository, tag->tag->name, error))) {
            return FALSE;
        }
    }
    if (free) {
        collection_tell(collection, "tag %s:%s", picture->name, tag->tag->name);
        collection->report->tags++;
    }
    return TRUE;
}

/* --- manifests and blobs --- */

/* Whether nothing needs it now: no tag, no manifest but those that go as well, and no push that has just asked for it.
 */
static gboolean link_is_free(const Release *release, const HoldingLink *link, gboolean *free, GError **error)
{
    const Change *change = &release->collection->change;
    gint64 repository = release->picture->repository, tags;
    if (!holdings_is_same(change->writer, repository, link, free, error) ||
        !holdings_names(change->writer, repository, link->blob, NULL, &tags, error)) {
        return FALSE;
    }
    *free = *free && tags == 0 && !pulls_is_asked(release->collection->storage, release->picture->name, &link->digest);
    g_autoptr(GArray) mentioners = *free ? holdings_mentioners(change->writer, repository, &link->digest, error)
                                         : g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    for (guint i = 0; mentioners != NULL && i < mentioners->len; i++) {
        *free = *free && g_hash_table_contains(release->going, &g_array_index(mentioners, IngotDigest, i));
    }
    return mentioners != NULL;
}

/* An attachment stays with its subject where that has come into use again. */
static gboolean subject_is_free(const Release *release, const HoldingLink *link)
{
    const PictureItem *subject = link->attached ? picture_find(release->picture, &link->subject) : NULL;
    return subject == NULL || subject->goes;
}

static gboolean release_link(Release *release, PictureItem *item, GError **error)
{
    Collection *collection = release->collection;
    const Picture *picture = release->picture;
    const HoldingLink *link = item->link;
    gboolean free = TRUE;
    if (!collection->options->dry_run) {
        if (!collection_change(collection, error) || !link_is_free(release, link, &free, error)) {
            return FALSE;
        }
        free = free && subject_is_free(release, link);
        if (free &&
            !names_remove(&collection->change, picture->name, picture->repository, link->blob, &link->digest, error)) {
            return FALSE;
        }
        g_hash_table_remove(release->going, &link->digest);
        item->goes = free; /* what it needs stays as well */
    }
    if (free) {
        g_autofree char *text = ingot_digest_to_text(&link->digest);
        collection_tell(collection, "%s %s@%s", link->manifest ? "manifest" : "blob", picture->name, text);
        *(link->manifest ? &collection->report->manifests : &collection->report->links) += 1;
    }
    return TRUE;
}

/* The companion tags of a manifest that has gone; what they name comes behind it. */
static gboolean release_companions(const Release *release, const PictureItem *item, GError **error)
{
    for (guint i = 0; item->goes && item->about != NULL && i < item->about->len; i++) {
        guint index = g_array_index(item->about, guint, i);
        if (!release_tag(release, &g_array_index(release->picture->tags, PictureTag, index), error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean release_manifests(Release *release, GError **error)
{
    const Picture *picture = release->picture;
    g_autoptr(GArray) order = picture_order(picture);
    for (guint i = 0; i < order->len; i++) {
        const PictureItem *item = picture_item(picture, g_array_index(order, guint, i));
        g_hash_table_add(release->going, (gpointer)&item->link->digest);
    }
    for (guint i = 0; i < order->len; i++) {
        PictureItem *item = picture_item(picture, g_array_index(order, guint, i));
        if (!release_link(release, item, error) || !release_companions(release, item, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* What tags named, or clients pulled, that is not there any more. */
static gboolean release_history(const Release *release, GError **error)
{
    const Picture *picture = release->picture;
    Collection *collection = release->collection;
    gint64 before = picture->now - (gint64)MIN(collection->options->untagged_grace, (guint64)picture->now), count;
    gboolean stale = picture->forgotten;
    for (guint i = 0; i < picture->history->len && !stale; i++) {
        const HoldingPast *past = &g_array_index(picture->history, HoldingPast, i);
        const PictureItem *item = picture_find(picture, &past->digest);
        stale = (item == NULL || item->goes) && past->until <= before;
    }
    return !stale || collection->options->dry_run ||
           (collection_change(collection, error) &&
            holdings_forget(collection->change.writer, picture->repository, before, &count, error) &&
            used_prune(collection->change.writer, picture->repository, error));
}

/* What a tag named long ago stands in the log of events alone. */
static gboolean trim_history(const Release *release, GError **error)
{
    Collection *collection = release->collection;
    gint64 repository = release->picture->repository;
    if (collection->options->dry_run) {
        return TRUE;
    }
    g_autoptr(Connection) reader = database_reader(collection->storage->catalogue, error);
    g_auto(GStrv) tags = reader == NULL ? NULL : holdings_long_histories(reader, repository, HISTORY_MAX, error);
    for (guint i = 0; tags != NULL && tags[i] != NULL; i++) {
        if (!collection_change(collection, error) ||
            !holdings_trim(collection->change.writer, repository, tags[i], HISTORY_MAX, error)) {
            return FALSE;
        }
    }
    return tags != NULL;
}

gboolean release_names(Collection *collection, const Picture *picture, GError **error)
{
    g_autoptr(GHashTable) going = g_hash_table_new(ingot_digest_hash, ingot_digest_equal);
    Release release = {.collection = collection, .picture = picture, .going = going};
    gboolean ok = TRUE;
    for (guint i = 0; ok && i < picture->tags->len; i++) {
        const PictureTag *tag = &g_array_index(picture->tags, PictureTag, i);
        ok = !tag->goes || tag->follows || release_tag(&release, tag, error);
    }
    ok = ok && release_manifests(&release, error);
    for (guint i = 0; ok && i < picture->items->len; i++) {
        PictureItem *item = picture_item(picture, i);
        ok = !item->goes || item->link->manifest || release_link(&release, item, error);
    }
    ok = ok && release_history(&release, error) && trim_history(&release, error);
    return collection_commit(collection, ok, error);
}

/* --- blobs --- */

static gboolean release_measures(Collection *collection, Connection *reader, GError **error)
{
    g_autoptr(GArray) list = holdings_measured(reader, error);
    gboolean ok = list != NULL;
    for (guint i = 0; ok && i < list->len; i++) {
        ok = collection_change(collection, error) &&
             holdings_drop_measures(collection->change.writer, &g_array_index(list, IngotDigest, i), error);
    }
    return collection_commit(collection, ok, error);
}

static gboolean release_bases(Collection *collection, Connection *reader, GError **error)
{
    gboolean any;
    return base_rows_stale(reader, &any, error) &&
           (!any ||
            collection_commit(collection,
                              collection_change(collection, error) && base_rows_sweep(collection->change.writer, error),
                              error));
}

static gboolean drop_blobs(Collection *collection, const IngotDigest *digests, guint count, GError **error)
{
    for (guint i = 0; i < count; i++) {
        gboolean dropped;
        if (!collection_change(collection, error) ||
            !holdings_drop_blob(collection->change.writer, &digests[i], &dropped, error)) {
            return FALSE;
        }
        collection->report->blobs += dropped;
        collection->change.moved |= dropped;
    }
    return TRUE;
}

/* From the commit on that a blob leaves the catalogue with, nobody could load a part of it any more. */
gboolean release_blobs(Collection *collection, Connection *reader, GError **error)
{
    g_autoptr(GArray) list = holdings_loose(reader, error);
    gboolean ok = list != NULL;
    for (guint i = 0; ok && i < list->len; i += BATCH) {
        const IngotDigest *batch = &g_array_index(list, IngotDigest, i);
        guint count = MIN(BATCH, list->len - i);
        readers_secure(collection->storage, batch, count);
        ok = collection_commit(collection, drop_blobs(collection, batch, count, error), error);
    }
    return ok && release_measures(collection, reader, error) && release_bases(collection, reader, error);
}
