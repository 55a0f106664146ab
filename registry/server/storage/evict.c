#include "server/storage/evict.h"

#include "server/catalogue/counters.h"
#include "server/storage/survey.h"
#include "server/storage/sweep.h"

typedef struct {
    gint64 repository;
    gint64 used;       /* any of its manifests, last */
    GArray *manifests; /* of IngotDigest */
} CachedImage;

static void image_clear(gpointer data)
{
    g_array_unref(((CachedImage *)data)->manifests);
}

/* --- the images of a repository --- */

/* Each manifest is in one group with all that it needs, directly or not: groups[i] leads to the item that stands for
 * the group of item i. */
static guint group_of(guint *groups, guint item)
{
    while (groups[item] != item) {
        groups[item] = groups[groups[item]];
        item = groups[item];
    }
    return item;
}

static guint *group_manifests(const Picture *picture)
{
    guint *groups = g_new(guint, picture->items->len + 1);
    for (guint i = 0; i < picture->items->len; i++) {
        groups[i] = i;
    }
    for (guint i = 0; i < picture->items->len; i++) {
        const GArray *needs = picture_item(picture, i)->link->manifest ? picture_item(picture, i)->needs : NULL;
        for (guint k = 0; needs != NULL && k < needs->len; k++) {
            guint other = g_array_index(needs, guint, k);
            if (picture_item(picture, other)->link->manifest) {
                groups[group_of(groups, i)] = group_of(groups, other);
            }
        }
    }
    return groups;
}

/* No upstream is asked for a channel that a pipeline guards: what it names stays. */
static void spare_guarded(const Picture *picture, guint *groups, gboolean *stays)
{
    for (guint i = 0; i < picture->tags->len; i++) {
        const PictureTag *tag = &g_array_index(picture->tags, PictureTag, i);
        if (pipeline_guards(picture->pipeline, tag->tag->name)) {
            stays[group_of(groups, tag->item)] = TRUE;
        }
    }
}

/* Adds the images that may go. */
static void list_images(const Picture *picture, GArray *images)
{
    g_autofree guint *groups = group_manifests(picture);
    g_autofree CachedImage *found = g_new0(CachedImage, picture->items->len + 1);
    g_autofree gboolean *stays = g_new0(gboolean, picture->items->len + 1);
    for (guint i = 0; i < picture->items->len; i++) {
        const PictureItem *item = picture_item(picture, i);
        guint group = group_of(groups, i);
        if (!item->link->manifest) {
            continue;
        }
        if (found[group].manifests == NULL) {
            found[group].manifests = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
        }
        g_array_append_val(found[group].manifests, item->link->digest);
        found[group].repository = picture->repository;
        found[group].used = MAX(found[group].used, item->used);
        stays[group] |= !item->cached;
    }
    spare_guarded(picture, groups, stays);
    for (guint i = 0; i < picture->items->len; i++) {
        if (found[i].manifests != NULL && !stays[i]) {
            g_array_append_val(images, found[i]);
        } else if (found[i].manifests != NULL) {
            image_clear(&found[i]);
        }
    }
}

/* --- all of them, and how many go --- */

static gint by_use(gconstpointer a, gconstpointer b)
{
    const CachedImage *one = a, *two = b;
    return one->used < two->used ? -1 : one->used > two->used;
}

static gboolean add_images(Picture *picture, gpointer user, GError **error)
{
    (void)error;
    list_images(picture, user);
    return TRUE;
}

static char *evicted_key(gint64 repository, const IngotDigest *manifest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(manifest, text);
    return g_strdup_printf("%" G_GINT64_FORMAT "@%s", repository, text);
}

static GHashTable *evict_first(const GArray *images, guint count)
{
    GHashTable *evicted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < count; i++) {
        const CachedImage *image = &g_array_index(images, CachedImage, i);
        for (guint k = 0; k < image->manifests->len; k++) {
            g_hash_table_add(evicted, evicted_key(image->repository, &g_array_index(image->manifests, IngotDigest, k)));
        }
    }
    return evicted;
}

/* What would be left if the first `count` images went, with all that goes anyway. */
static gboolean count_left(const Collection *collection, Connection *reader, const GArray *images, guint count,
                           guint64 *left, GError **error)
{
    Counters counters;
    CollectReport report = {0};
    CollectOptions options = *collection->options;
    options.dry_run = TRUE;
    options.tell = NULL;
    g_autoptr(GHashTable) evicted = evict_first(images, count);
    Collection trial = {.storage = collection->storage, .options = &options, .report = &report, .evicted = evicted};
    g_autoptr(GHashTable) gone = survey_gone(&trial, reader, error);
    if (gone == NULL || !sweep_count(reader, gone, &report, error) || !counters_read(reader, &counters, error)) {
        return FALSE;
    }
    *left = counters.stored - MIN(report.bytes, counters.stored);
    return TRUE;
}

gboolean eviction_choose(Collection *collection, Connection *reader, GError **error)
{
    guint64 limit = collection->storage->limits.cache, left;
    g_autoptr(GArray) images = g_array_new(FALSE, FALSE, sizeof(CachedImage));
    g_array_set_clear_func(images, image_clear);
    if (!eviction_is_due(collection->storage)) {
        return TRUE;
    }
    if (!survey_each(collection, reader, add_images, images, error)) {
        return FALSE;
    }
    g_array_sort(images, by_use);
    /* The fewest that are enough. */
    guint least = 0, most = images->len == 0 ? 0 : images->len - 1;
    while (least < most) {
        guint middle = least + (most - least) / 2;
        if (!count_left(collection, reader, images, middle, &left, error)) {
            return FALSE;
        }
        if (left <= limit) {
            most = middle;
        } else {
            least = middle + 1;
        }
    }
    collection->evicted = evict_first(images, most);
    return TRUE;
}

void eviction_mark(GHashTable *evicted, Picture *picture)
{
    for (guint i = 0; evicted != NULL && i < picture->items->len; i++) {
        PictureItem *item = picture_item(picture, i);
        g_autofree char *key = item->cached ? evicted_key(picture->repository, &item->link->digest) : NULL;
        item->evicted = key != NULL && g_hash_table_contains(evicted, key);
    }
}

gboolean eviction_is_due(Storage *storage)
{
    Counters counters;
    g_autoptr(Connection) reader = storage->limits.cache == 0 ? NULL : database_reader(storage->catalogue, NULL);
    return reader != NULL && counters_read(reader, &counters, NULL) && counters.stored > storage->limits.cache;
}
