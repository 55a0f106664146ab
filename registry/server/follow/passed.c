#include "server/follow/passed.h"

#include <ingot/reference.h>
#include <string.h>

#include "server/storage/moves.h"

/* The line of what the channel has named goes on, or back to where a rollback leads. */
static void line_follow(GArray *line, const StorageMove *move, gboolean back)
{
    guint target = back ? line->len : 0;
    while (target > 0 && !ingot_digest_equal(&g_array_index(line, IngotDigest, target - 1), &move->digest)) {
        target--;
    }
    if (target > 0) {
        g_array_set_size(line, target);
    } else {
        g_array_append_val(line, move->digest);
    }
}

static const char *line_newest(const GArray *line, GHashTable *versions)
{
    const char *newest = NULL;
    for (guint i = 0; i < line->len; i++) {
        char digest[INGOT_DIGEST_TEXT_SIZE];
        ingot_digest_write_text(&g_array_index(line, IngotDigest, i), digest);
        const char *version = g_hash_table_lookup(versions, digest);
        newest = version != NULL && (newest == NULL || ingot_tag_compare(version, newest) > 0) ? version : newest;
    }
    return newest;
}

const char *passed_version(const GArray *moves, GHashTable *versions, const IngotDigest *image)
{
    g_autoptr(GArray) line = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    for (guint i = moves->len; i-- > 0;) {
        const StorageMove *move = &g_array_index(moves, StorageMove, i);
        gboolean back = g_strcmp0(move->how, "rollback") == 0;
        if (!move->gone && !back && ingot_digest_equal(&move->digest, image)) {
            return line_newest(line, versions);
        }
        if (!move->gone) {
            line_follow(line, move, back);
        }
    }
    return NULL;
}
