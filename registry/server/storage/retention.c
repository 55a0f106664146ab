/* Retention: which tags of a repository go by a policy. */
#include <ingot/reference.h>

#include "server/storage/keep.h"
#include "server/storage/picture.h"

static int newest_first(gconstpointer a, gconstpointer b, gpointer picture)
{
    const PictureTag *one = &g_array_index(((Picture *)picture)->tags, PictureTag, *(const guint *)a);
    const PictureTag *two = &g_array_index(((Picture *)picture)->tags, PictureTag, *(const guint *)b);
    gboolean versions = ingot_tag_is_version(one->tag->name) && ingot_tag_is_version(two->tag->name);
    if (versions || one->tag->made == two->tag->made) {
        return ingot_tag_compare(two->tag->name, one->tag->name);
    }
    return one->tag->made < two->tag->made ? 1 : -1;
}

/* GArray of guint: the tags that the policy counts for, either versions or others, the newest first. */
static GArray *list_governed(Picture *picture, const GArray *keeps, const Keep *keep, gboolean versions)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(guint));
    for (guint i = 0; i < picture->tags->len; i++) {
        const PictureTag *tag = &g_array_index(picture->tags, PictureTag, i);
        const char *name = tag->tag->name;
        if (!tag->follows && ingot_tag_is_version(name) == versions &&
            pipeline_channel(picture->pipeline, name) == NULL && keeps_find(keeps, picture->name, name) == keep) {
            g_array_append_val(list, i);
        }
    }
    g_array_sort_with_data(list, newest_first, picture);
    return list;
}

static gboolean is_within(const Picture *picture, gint64 time, guint64 seconds)
{
    return picture->now - time < (gint64)MIN(seconds, (guint64)G_MAXINT64);
}

/* Whether a channel names the manifest, or did within the time. */
static gboolean is_of_channel(const Picture *picture, const Keep *keep, const IngotDigest *digest)
{
    for (guint i = 0; i < picture->tags->len; i++) {
        const HoldingTag *tag = g_array_index(picture->tags, PictureTag, i).tag;
        if (pipeline_channel(picture->pipeline, tag->name) != NULL && ingot_digest_equal(&tag->digest, digest)) {
            return TRUE;
        }
    }
    for (guint i = 0; i < picture->history->len; i++) {
        const HoldingPast *past = &g_array_index(picture->history, HoldingPast, i);
        if (pipeline_channel(picture->pipeline, past->tag) != NULL && ingot_digest_equal(&past->digest, digest) &&
            is_within(picture, past->until, keep->channel)) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean tag_stays(const Picture *picture, const Keep *keep, const PictureTag *tag)
{
    const PictureItem *item = picture_item(picture, tag->item);
    /* What was never pulled counts as pulled when it was pushed. */
    return is_within(picture, tag->tag->made, keep->age) ||
           is_within(picture, MAX(item->pulled, tag->tag->made), keep->pulled) ||
           is_of_channel(picture, keep, &tag->tag->digest);
}

void retention_apply(Picture *picture, const GArray *keeps)
{
    for (guint i = 0; keeps != NULL && i < keeps->len; i++) {
        const Keep *keep = &g_array_index(keeps, Keep, i);
        for (guint versions = 0; versions < 2; versions++) {
            g_autoptr(GArray) list = list_governed(picture, keeps, keep, versions != 0);
            for (guint k = keep->newest; k < list->len; k++) {
                PictureTag *tag = &g_array_index(picture->tags, PictureTag, g_array_index(list, guint, k));
                tag->goes = !tag_stays(picture, keep, tag);
            }
        }
    }
}
