#include "cache/house.h"

#include <errno.h>
#include <fts.h>
#include <glib/gstdio.h>
#include <ingot/download.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/text.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "cache/nodes.h"

#define LIMIT_MOST (20ull * 1000 * 1000 * 1000) /* bytes */

/* --- sizes --- */

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
    if (statvfs(cache, &system) != 0) {
        return ingot_error_set_errno(error, errno, "%s", cache);
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

/* --- what may go --- */

/* A node that none stands on, or a source. */
typedef struct {
    char *path;
    gboolean source;
    gint64 used;
} Candidate;

static void candidate_clear(gpointer data)
{
    g_free(((Candidate *)data)->path);
}

static int longest_unused_first(gconstpointer a, gconstpointer b)
{
    const Candidate *one = a, *other = b;
    return (one->used > other->used) - (one->used < other->used);
}

static void add_nodes(const GPtrArray *nodes, GArray *candidates)
{
    g_autoptr(GHashTable) below = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < nodes->len; i++) {
        const Node *node = g_ptr_array_index(nodes, i);
        if (node->below != NULL) {
            g_hash_table_add(below, node->below);
        }
    }
    for (guint i = 0; i < nodes->len; i++) {
        const Node *node = g_ptr_array_index(nodes, i);
        if (!g_hash_table_contains(below, node_name(node))) {
            Candidate one = {.path = g_strdup(node->folder), .used = house_node(node->folder).used};
            g_array_append_val(candidates, one);
        }
    }
}

static gboolean stood_on(const GPtrArray *nodes, const char *path)
{
    gsize length = strlen(path);
    for (guint i = 0; i < nodes->len; i++) {
        const char *source = ((const Node *)g_ptr_array_index(nodes, i))->source;
        if (strncmp(source, path, length) == 0 && (source[length] == '\0' || source[length] == '/')) {
            return TRUE;
        }
    }
    return FALSE;
}

static void add_sources(const char *cache, const GPtrArray *nodes, GArray *candidates)
{
    g_autofree char *absolute = g_canonicalize_filename(cache, NULL);
    g_autofree char *folder = g_build_filename(absolute, "sources", NULL);
    g_autoptr(GDir) names = g_dir_open(folder, 0, NULL);
    const char *name;
    while (names != NULL && (name = g_dir_read_name(names)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *use = g_strconcat(path, INGOT_DOWNLOAD_USE, NULL);
        /* What has a dot is about a source: its locks, its checks, one in the making. */
        if (strchr(name, '.') == NULL && !stood_on(nodes, path)) {
            Candidate one = {.used = MAX(last_use(use), last_use(path)), .source = TRUE};
            one.path = g_steal_pointer(&path);
            g_array_append_val(candidates, one);
        }
    }
}

static GArray *candidates_of(const char *cache, GError **error)
{
    g_autoptr(GPtrArray) nodes = nodes_list(cache, error);
    if (nodes == NULL) {
        return NULL;
    }
    GArray *candidates = g_array_new(FALSE, FALSE, sizeof(Candidate));
    g_array_set_clear_func(candidates, candidate_clear);
    add_nodes(nodes, candidates);
    add_sources(cache, nodes, candidates);
    g_array_sort(candidates, longest_unused_first);
    return candidates;
}

/* --- eviction --- */

/* Unless somebody makes it or uses it. */
static gboolean drop_source(const char *path)
{
    g_autofree char *use_path = g_strconcat(path, INGOT_DOWNLOAD_USE, NULL),
                    *lock_path = g_strconcat(path, ".lock", NULL),
                    *record = g_strconcat(path, INGOT_DOWNLOAD_CHECKED, NULL);
    g_autoptr(IngotLock) lock = ingot_lock_take(lock_path, TRUE, FALSE, NULL);
    g_autoptr(IngotLock) use = lock == NULL ? NULL : ingot_lock_take(use_path, TRUE, FALSE, NULL);
    if (use == NULL || !ingot_file_remove_tree(path, NULL)) {
        return FALSE;
    }
    g_remove(record);
    g_remove(use_path);
    g_remove(lock_path);
    return TRUE;
}

/* Drops the first candidate that can be dropped; FALSE where there is none. */
static gboolean drop_one(const GArray *candidates, const HouseRule *rule, guint64 total, HouseDropped *dropped)
{
    for (guint i = 0; i < candidates->len; i++) {
        const Candidate *one = &g_array_index(candidates, Candidate, i);
        g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
        if (total <= rule->most && one->used >= rule->not_since) {
            continue;
        }
        guint64 size = tree_size(one->path, seen);
        if (one->source ? drop_source(one->path) : nodes_remove(one->path)) {
            dropped->count++;
            dropped->bytes += size;
            return TRUE;
        }
    }
    return FALSE;
}

gboolean house_evict(const char *cache, const HouseRule *rule, HouseDropped *dropped, GError **error)
{
    *dropped = (HouseDropped){0};
    for (;;) {
        HouseUse use;
        g_autoptr(GArray) candidates = house_measure(cache, &use, error) ? candidates_of(cache, error) : NULL;
        if (candidates == NULL) {
            return FALSE;
        }
        /* One leaves, another may become one that none stands on. */
        if (!drop_one(candidates, rule, use.layers + use.memory + use.sources, dropped)) {
            return TRUE;
        }
    }
}
