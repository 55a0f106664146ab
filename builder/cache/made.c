#include "cache/made.h"

#include <fts.h>
#include <sys/stat.h>

#define MOST 1000 /* paths */

static int made_by_name(const FTSENT **a, const FTSENT **b)
{
    return g_strcmp0((*a)->fts_name, (*b)->fts_name);
}

json_t *made_list(const char *product, gint64 since)
{
    json_t *made = json_array();
    char *const paths[] = {(char *)product, NULL};
    FTS *tree = fts_open(paths, FTS_COMFOLLOW | FTS_PHYSICAL | FTS_NOCHDIR, made_by_name);
    for (FTSENT *entry; tree != NULL && json_array_size(made) < MOST && (entry = fts_read(tree)) != NULL;) {
        gboolean file = entry->fts_info == FTS_F || entry->fts_info == FTS_SL || entry->fts_info == FTS_SLNONE;
        /* The time of the inode, which no copied time of a file changes. */
        if (file && (entry->fts_level == 0 || entry->fts_statp->st_ctim.tv_sec >= since)) {
            json_array_append_new(made, json_string(entry->fts_path)); /* none for a name that is not UTF-8 */
        }
    }
    if (tree != NULL) {
        fts_close(tree);
    }
    return made;
}

const char *made_missing(const json_t *made)
{
    struct stat st;
    for (size_t i = 0; i < json_array_size(made); i++) {
        const char *path = json_string_value(json_array_get(made, i));
        if (path != NULL && lstat(path, &st) != 0) {
            return path;
        }
    }
    return NULL;
}
