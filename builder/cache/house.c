#include "cache/house.h"

#include <errno.h>
#include <fts.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/text.h"
#include "cache/nodes.h"

#define LIMIT_MOST (20ull * 1000 * 1000 * 1000) /* bytes */

/* Bytes on the disk of all below path; an inode counts once, seen has those that have counted. */
static guint64 tree_size(const char *path, GHashTable *seen)
{
    char *const paths[] = {(char *)path, NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    guint64 size = 0;
    for (FTSENT *entry; tree != NULL && (entry = fts_read(tree)) != NULL;) {
        if (entry->fts_info == FTS_F && g_hash_table_add(seen, GSIZE_TO_POINTER(entry->fts_statp->st_ino))) {
            size += (guint64)entry->fts_statp->st_blocks * 512;
        }
    }
    if (tree != NULL) {
        fts_close(tree);
    }
    return size;
}

static guint64 size_of(const char *folder, const char *name, GHashTable *seen)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    return tree_size(path, seen);
}

gboolean house_limit(const char *cache, guint64 *limit, GError **error)
{
    const char *own = g_getenv("INGOT_CACHE_SIZE");
    struct statvfs system;
    if (own != NULL && *own != '\0') {
        gboolean ok = ingot_text_parse_size(own, limit, error);
        if (!ok) {
            g_prefix_error(error, "INGOT_CACHE_SIZE: ");
        }
        return ok;
    }
    /* One that is not there yet lies where its parent does. */
    g_autofree char *path = g_canonicalize_filename(cache, NULL);
    while (statvfs(path, &system) != 0) {
        if (errno != ENOENT || strcmp(path, "/") == 0) {
            return ingot_error_set_errno(error, errno, "%s", path);
        }
        char *parent = g_path_get_dirname(path);
        g_free(path);
        path = parent;
    }
    *limit = MIN(LIMIT_MOST, (guint64)system.f_blocks * system.f_frsize / 10);
    return TRUE;
}

gboolean house_measure(const char *cache, HouseUse *use, GError **error)
{
    g_autoptr(GPtrArray) nodes = nodes_list(cache, error);
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    if (nodes == NULL || !house_limit(cache, &use->limit, error)) {
        return FALSE;
    }
    use->nodes = nodes->len;
    use->layers = use->memory = 0;
    for (guint i = 0; i < nodes->len; i++) {
        const Node *node = g_ptr_array_index(nodes, i);
        use->memory += size_of(node->folder, NODE_MEMORY, seen);
        use->layers += tree_size(node->folder, seen);
    }
    use->sources = size_of(cache, "sources", seen);
    use->records = tree_size(cache, seen);
    return TRUE;
}

static gint64 last_use(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_mtim.tv_sec : 0;
}

HouseNode house_node(const char *folder)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    g_autofree char *lock = g_build_filename(folder, NODE_LOCK, NULL);
    HouseNode node = {.used = last_use(lock)};
    node.memory = size_of(folder, NODE_MEMORY, seen);
    node.layer = tree_size(folder, seen);
    return node;
}
