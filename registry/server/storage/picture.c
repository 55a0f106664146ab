#include "server/storage/picture.h"

#include <string.h>

#include "server/catalogue/blobmap.h"
#include "server/catalogue/counters.h"
#include "server/catalogue/spared.h"
#include "server/storage/companion.h"
#include "server/storage/rebuild.h"

PictureItem *picture_item(const Picture *picture, guint index)
{
    return &g_array_index(picture->items, PictureItem, index);
}

/* Its index + 1; 0: it is not there. */
static guint picture_index(const Picture *picture, const IngotDigest *digest)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(picture->index, digest));
}

PictureItem *picture_find(const Picture *picture, const IngotDigest *digest)
{
    guint index = picture_index(picture, digest);
    return index == 0 ? NULL : picture_item(picture, index - 1);
}

/* --- taking it --- */

static void item_clear(gpointer data)
{
    PictureItem *item = data;
    g_clear_pointer(&item->needs, g_array_unref);
    g_clear_pointer(&item->about, g_array_unref);
}

static void add_index(GArray **list, guint index)
{
    if (*list == NULL) {
        *list = g_array_new(FALSE, FALSE, sizeof(guint));
    }
    g_array_append_val(*list, index);
}

static void add_need(Picture *picture, const IngotDigest *from, const IngotDigest *to)
{
    PictureItem *item = picture_find(picture, from);
    guint other = picture_index(picture, to);
    if (item != NULL && other > 0) {
        add_index(&item->needs, other - 1);
    }
}

static void add_items(Picture *picture)
{
    for (guint i = 0; i < picture->rows_links->len; i++) {
        const HoldingLink *link = &g_array_index(picture->rows_links, HoldingLink, i);
        PictureItem item = {.link = link, .used = link->made};
        g_array_append_val(picture->items, item);
        g_hash_table_insert(picture->index, (gpointer)&link->digest, GUINT_TO_POINTER(i + 1));
    }
}

static void add_needs(Picture *picture, const GArray *mentions)
{
    for (guint i = 0; i < mentions->len; i++) {
        const HoldingMention *mention = &g_array_index(mentions, HoldingMention, i);
        PictureItem *item = picture_find(picture, &mention->manifest);
        if (item != NULL) {
            item->read = TRUE;
        }
        add_need(picture, &mention->manifest, &mention->digest);
    }
    /* What is attached to a manifest lives with it, never the other way round: a subject need not be there. */
    for (guint i = 0; i < picture->items->len; i++) {
        const HoldingLink *link = picture_item(picture, i)->link;
        if (link->attached) {
            add_need(picture, &link->subject, &link->digest);
        }
    }
}

/* The tag that is added next. */
static void add_companion(Picture *picture, PictureTag *tag)
{
    tag->companion = companion_read(tag->tag->name, &tag->tag->digest, &tag->subject);
    PictureItem *subject = tag->companion ? picture_find(picture, &tag->subject) : NULL;
    tag->follows = subject != NULL && subject->link->manifest;
    if (tag->follows) {
        add_index(&subject->about, picture->tags->len);
        add_need(picture, &tag->subject, &tag->tag->digest);
    }
}

static void add_tags(Picture *picture)
{
    for (guint i = 0; i < picture->rows_tags->len; i++) {
        PictureTag tag = {.tag = &g_array_index(picture->rows_tags, HoldingTag, i)};
        guint index = picture_index(picture, &tag.tag->digest);
        if (index > 0) {
            tag.item = index - 1;
            add_companion(picture, &tag);
            g_array_append_val(picture->tags, tag);
        }
    }
    for (guint i = 0; i < picture->history->len; i++) {
        const HoldingPast *past = &g_array_index(picture->history, HoldingPast, i);
        PictureItem *item = picture_find(picture, &past->digest);
        if (item != NULL) {
            item->used = MAX(item->used, past->until);
        }
    }
}

/* No manifest counts as unused since before pulls were noted. */
static gboolean add_pulls(Picture *picture, Connection *reader, GError **error)
{
    gint64 since;
    g_autoptr(GArray) pulls = used_list(reader, picture->repository, error);
    if (pulls == NULL || !used_since(reader, &since, error)) {
        return FALSE;
    }
    for (guint i = 0; i < pulls->len; i++) {
        const Used *used = &g_array_index(pulls, Used, i);
        PictureItem *item = picture_find(picture, &used->manifest);
        if (item != NULL) {
            item->pulled = used->at;
        } else {
            picture->forgotten = TRUE;
        }
    }
    for (guint i = 0; i < picture->items->len; i++) {
        PictureItem *item = picture_item(picture, i);
        item->pulled = MAX(item->pulled, since);
        item->used = MAX(item->used, item->pulled);
    }
    return TRUE;
}

static gboolean add_cached(Picture *picture, Connection *reader, GError **error)
{
    g_autoptr(GArray) list = cached_list(reader, picture->repository, error);
    for (guint i = 0; list != NULL && i < list->len; i++) {
        PictureItem *item = picture_find(picture, &g_array_index(list, IngotDigest, i));
        if (item != NULL) {
            item->cached = item->link->manifest;
        }
    }
    return list != NULL;
}

/* A manifest that mentions nothing is rare; a rebuild finds no mentions in one that is damaged. */
static gboolean look_for_damage(Picture *picture, Connection *reader, GError **error)
{
    Counters counters;
    if (!counters_read(reader, &counters, error)) {
        return FALSE;
    }
    for (guint i = 0; counters.damaged > 0 && !picture->blind && i < picture->items->len; i++) {
        const PictureItem *item = picture_item(picture, i);
        if (item->link->manifest && !item->read) {
            g_autoptr(BlobMap) map = blobmap_read(reader, &item->link->digest, NULL);
            picture->blind = map == NULL || map->is_damaged;
            picture->unread = picture->blind ? &item->link->digest : NULL;
        }
    }
    return picture->blind || spared_has_repository(reader, picture->repository, &picture->blind, error);
}

Picture *picture_new(Connection *reader, gint64 repository, const char *name, GError **error)
{
    g_autoptr(Picture) picture = g_new0(Picture, 1);
    picture->repository = repository;
    picture->name = g_strdup(name);
    picture->now = g_get_real_time() / G_USEC_PER_SEC;
    picture->index = g_hash_table_new(ingot_digest_hash, ingot_digest_equal);
    picture->items = g_array_new(FALSE, FALSE, sizeof(PictureItem));
    g_array_set_clear_func(picture->items, item_clear);
    picture->tags = g_array_new(FALSE, FALSE, sizeof(PictureTag));
    g_autoptr(GArray) mentions = NULL;
    if ((picture->rows_tags = holdings_tags(reader, repository, error)) == NULL ||
        (picture->rows_links = holdings_links(reader, repository, error)) == NULL ||
        (picture->history = holdings_history(reader, repository, error)) == NULL ||
        (mentions = holdings_mentions(reader, repository, error)) == NULL) {
        return NULL;
    }
    add_items(picture);
    add_needs(picture, mentions);
    add_tags(picture);
    return add_pulls(picture, reader, error) && add_cached(picture, reader, error) &&
                   look_for_damage(picture, reader, error)
               ? g_steal_pointer(&picture)
               : NULL;
}

void picture_free(Picture *picture)
{
    if (picture == NULL) {
        return;
    }
    pipeline_unref(picture->pipeline);
    g_array_unref(picture->tags);
    g_array_unref(picture->items);
    g_hash_table_unref(picture->index);
    g_clear_pointer(&picture->rows_tags, g_array_unref);
    g_clear_pointer(&picture->rows_links, g_array_unref);
    g_clear_pointer(&picture->history, g_array_unref);
    g_free(picture->name);
    g_free(picture);
}

/* --- the verdict --- */

/* Sets a flag of all items that those with the flag need. Chains may be long: no recursion. */
static void picture_spread(Picture *picture, gsize flag)
{
    g_autoptr(GArray) open = g_array_new(FALSE, FALSE, sizeof(guint));
    for (guint i = 0; i < picture->items->len; i++) {
        if (G_STRUCT_MEMBER(gboolean, picture_item(picture, i), flag)) {
            g_array_append_val(open, i);
        }
    }
    while (open->len > 0) {
        const PictureItem *item = picture_item(picture, g_array_index(open, guint, open->len - 1));
        g_array_set_size(open, open->len - 1);
        for (guint i = 0; item->needs != NULL && i < item->needs->len; i++) {
            guint other = g_array_index(item->needs, guint, i);
            gboolean *set = &G_STRUCT_MEMBER(gboolean, picture_item(picture, other), flag);
            if (!*set) {
                *set = TRUE;
                g_array_append_val(open, other);
            }
        }
    }
}

/* A time that lies ahead (the clock was set back) is no reason to stay for ever, nor to go. */
static gboolean is_within(const Picture *picture, gint64 time, guint64 seconds)
{
    return picture->now - time < (gint64)MIN(seconds, (guint64)G_MAXINT64);
}

static gboolean stays_by_itself(const Picture *picture, const PictureItem *item, const CollectOptions *options)
{
    if (!item->link->manifest || item->tagged || item->follows || item->evicted) {
        return item->tagged;
    }
    /* The tag that names it, or the index, may be on its way, whatever named it before; it may be pulled by its digest.
     */
    return is_within(picture, item->link->made, options->grace) ||
           (!item->expired && is_within(picture, item->used, options->untagged_grace));
}

/* Whether the manifest was here, and its last tag went before the grace began. Signatures may also stand in a
 * repository of their own, which never had what they are about: those are nobody's orphans. */
static gboolean is_orphan(const Picture *picture, const PictureTag *tag, guint64 grace)
{
    gboolean was_here = FALSE;
    for (guint i = 0; tag->companion && !tag->follows && !picture->blind && i < picture->history->len; i++) {
        const HoldingPast *past = &g_array_index(picture->history, HoldingPast, i);
        if (ingot_digest_equal(&past->digest, &tag->subject)) {
            if (is_within(picture, past->until, grace)) {
                return FALSE;
            }
            was_here = TRUE;
        }
    }
    return was_here;
}

/* Which tags go by themselves, and what that means for what they name. */
static void judge_tags(Picture *picture, const CollectOptions *options)
{
    retention_apply(picture, options->keeps);
    for (guint i = 0; i < picture->tags->len; i++) {
        PictureTag *tag = &g_array_index(picture->tags, PictureTag, i);
        PictureItem *item = picture_item(picture, tag->item);
        if (tag->follows) {
            item->follows = TRUE;
            continue;
        }
        tag->goes |= is_orphan(picture, tag, options->untagged_grace);
        tag->goes |= item->evicted;
        item->tagged |= !tag->goes;
        item->expired |= tag->goes;
    }
}

void picture_judge(Picture *picture, const CollectOptions *options)
{
    judge_tags(picture, options);
    picture_spread(picture, G_STRUCT_OFFSET(PictureItem, expired));
    picture_spread(picture, G_STRUCT_OFFSET(PictureItem, evicted));
    for (guint i = 0; i < picture->items->len; i++) {
        PictureItem *item = picture_item(picture, i);
        item->needed = stays_by_itself(picture, item, options);
    }
    picture_spread(picture, G_STRUCT_OFFSET(PictureItem, needed));
    guint64 grace = strcmp(picture->name, LOST_FOUND) == 0 ? LOST_GRACE : options->grace;
    for (guint i = 0; i < picture->items->len; i++) {
        PictureItem *item = picture_item(picture, i);
        item->goes = !item->needed && !picture->blind &&
                     (item->link->manifest || item->evicted || !is_within(picture, item->link->made, grace));
    }
    for (guint i = 0; i < picture->tags->len; i++) {
        PictureTag *tag = &g_array_index(picture->tags, PictureTag, i);
        tag->goes = tag->follows ? picture_find(picture, &tag->subject)->goes : tag->goes;
    }
}

/* --- in which order --- */

static void count_needers(const Picture *picture, guint *needers, guint index, int by, GArray *free)
{
    const PictureItem *item = picture_item(picture, index);
    for (guint i = 0; item->needs != NULL && i < item->needs->len; i++) {
        guint other = g_array_index(item->needs, guint, i);
        const PictureItem *needed = picture_item(picture, other);
        if (!needed->goes || !needed->link->manifest) {
            continue;
        }
        needers[other] += (guint)by;
        if (free != NULL && needers[other] == 0) {
            g_array_append_val(free, other);
        }
    }
}

GArray *picture_order(const Picture *picture)
{
    g_autofree guint *needers = g_new0(guint, picture->items->len + 1);
    GArray *order = g_array_new(FALSE, FALSE, sizeof(guint));
    guint all = 0;
    for (guint i = 0; i < picture->items->len; i++) {
        const PictureItem *item = picture_item(picture, i);
        if (item->goes && item->link->manifest) {
            count_needers(picture, needers, i, 1, NULL);
            all++;
        }
    }
    for (guint i = 0; i < picture->items->len; i++) {
        const PictureItem *item = picture_item(picture, i);
        if (item->goes && item->link->manifest && needers[i] == 0) {
            g_array_append_val(order, i);
        }
    }
    for (guint i = 0; i < order->len; i++) {
        count_needers(picture, needers, g_array_index(order, guint, i), -1, order);
    }
    /* An index that is attached to what it mentions: each needs the other. */
    for (guint i = 0; order->len < all && i < picture->items->len; i++) {
        const PictureItem *item = picture_item(picture, i);
        if (item->goes && item->link->manifest && needers[i] > 0) {
            g_array_append_val(order, i);
        }
    }
    return order;
}
