#include "cache/evict.h"

#include <fts.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "bundle/download.h"
#include "cache/house.h"
#include "cache/nodes.h"
#include "cache/sweep.h"

#define RECORD_MAX (16u << 20) /* bytes of a source.json */
#define SUM ".sum"             /* DISK.sum: its checksum */

typedef enum { ITEM_NODE, ITEM_DISK, ITEM_SOURCE } ItemKind;

/* Something that may go by itself. */
typedef struct {
    ItemKind kind;
    char *path;
    const Node *node; /* ITEM_NODE: borrowed */
    gint64 used;
    EvictWhy why;  /* it would go */
    guint above;   /* things that stand on it, and that are not gone */
    GArray *files; /* inodes: guint64 */
    gboolean gone; /* evicted */
    gboolean held; /* pinned or in use: it stays */
} Item;

static void item_free(gpointer data)
{
    Item *item = data;
    g_free(item->path);
    g_array_unref(item->files);
    g_free(item);
}

/* One file, whatever its names. */
typedef struct {
    guint64 bytes;
    guint names;   /* that are left in items */
    gboolean disk; /* of an ITEM_DISK: its source leaves it out */
} File;

typedef struct {
    const char *cache; /* absolute */
    GPtrArray *nodes;  /* of Node */
    GPtrArray *items;  /* of Item */
    GHashTable *files; /* inode: File */
    guint64 total;     /* bytes */
} Eviction;

static void eviction_clear(Eviction *eviction)
{
    g_clear_pointer(&eviction->items, g_ptr_array_unref);
    g_clear_pointer(&eviction->nodes, g_ptr_array_unref);
    g_clear_pointer(&eviction->files, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Eviction, eviction_clear)

/* --- what there is --- */

static void eviction_count(Eviction *eviction, const struct stat *st, Item *item)
{
    guint64 inode = st->st_ino;
    File *file = g_hash_table_lookup(eviction->files, &inode);
    if (file == NULL) {
        file = g_new0(File, 1);
        file->bytes = (guint64)st->st_blocks * 512;
        g_hash_table_insert(eviction->files, g_memdup2(&inode, sizeof inode), file);
        eviction->total += file->bytes;
    }
    if (item != NULL && !(item->kind == ITEM_SOURCE && file->disk)) {
        file->names++;
        file->disk = item->kind == ITEM_DISK;
        g_array_append_val(item->files, inode);
    }
}

/* Every file at or below path; item NULL: what belongs to none counts too, but never goes. */
static void eviction_measure(Eviction *eviction, const char *path, Item *item)
{
    char *const paths[] = {(char *)path, NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    for (FTSENT *entry; tree != NULL && (entry = fts_read(tree)) != NULL;) {
        if (entry->fts_info == FTS_F) {
            eviction_count(eviction, entry->fts_statp, item);
        }
    }
    if (tree != NULL) {
        fts_close(tree);
    }
}

static Item *eviction_add(Eviction *eviction, ItemKind kind, const char *path, gint64 used, EvictWhy why)
{
    Item *item = g_new0(Item, 1);
    item->kind = kind;
    item->path = g_strdup(path);
    item->used = used;
    item->why = why;
    item->files = g_array_new(FALSE, FALSE, sizeof(guint64));
    g_ptr_array_add(eviction->items, item);
    eviction_measure(eviction, path, item);
    return item;
}

static gint64 file_time(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_mtim.tv_sec : 0;
}

/* The disk that a source's folder names as its current one, or NULL. Free it. */
static char *current_disk(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "source.json", NULL);
    g_autoptr(GBytes) bytes = ingot_file_read(path, RECORD_MAX, NULL);
    g_autoptr(json_t) record =
        bytes == NULL ? NULL : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), path, NULL);
    const char *name = json_string_value(json_object_get(record, "disk"));
    g_autofree char *base = name == NULL ? NULL : g_path_get_basename(name);
    return base == NULL ? NULL : g_build_filename(folder, base, NULL);
}

/* A disk beside the current one: a newer one has taken its place. */
static gboolean is_replaced(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *current = g_str_has_suffix(path, ".raw") ? current_disk(folder) : NULL;
    return current != NULL && strcmp(current, path) != 0;
}

static void eviction_add_disks(Eviction *eviction, const char *folder)
{
    g_autoptr(GDir) names = g_dir_open(folder, 0, NULL);
    const char *name;
    while (names != NULL && (name = g_dir_read_name(names)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL), *sum = g_strconcat(path, SUM, NULL);
        if (is_replaced(path)) {
            Item *item = eviction_add(eviction, ITEM_DISK, path, file_time(path), EVICT_REPLACED);
            eviction_measure(eviction, sum, item);
        }
    }
}

/* NAME, a file or a folder, is a source; NAME.* are its locks and checks. */
static void eviction_add_sources(Eviction *eviction)
{
    g_autofree char *folder = g_build_filename(eviction->cache, "sources", NULL);
    g_autoptr(GDir) names = g_dir_open(folder, 0, NULL);
    const char *name;
    while (names != NULL && (name = g_dir_read_name(names)) != NULL) {
        static const char *const beside[] = {INGOT_DOWNLOAD_CHECKED, SUM};
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *use = g_strconcat(path, INGOT_DOWNLOAD_USE, NULL);
        if (strchr(name, '.') != NULL) {
            continue;
        }
        eviction_add_disks(eviction, path);
        Item *item = eviction_add(eviction, ITEM_SOURCE, path, MAX(file_time(use), file_time(path)), EVICT_UNUSED);
        for (guint i = 0; i < G_N_ELEMENTS(beside); i++) {
            g_autofree char *other = g_strconcat(path, beside[i], NULL);
            eviction_measure(eviction, other, item);
        }
    }
    eviction_measure(eviction, folder, NULL);
}

static void eviction_add_nodes(Eviction *eviction)
{
    guint sources = eviction->items->len;
    for (guint i = 0; i < eviction->nodes->len; i++) {
        const Node *node = g_ptr_array_index(eviction->nodes, i);
        EvictWhy why = node->whole ? EVICT_UNUSED : EVICT_USELESS;
        for (guint n = 0; n < sources; n++) {
            const Item *disk = g_ptr_array_index(eviction->items, n);
            if (disk->kind == ITEM_DISK && strcmp(disk->path, node->source) == 0) {
                why = EVICT_USELESS;
            }
        }
        Item *item = eviction_add(eviction, ITEM_NODE, node->folder, house_node(node->folder).used, why);
        item->node = node;
        item->held = node_pinned(node);
    }
}

/* --- what may go --- */

static gboolean path_is_in(const char *path, const char *folder)
{
    gsize length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* A node stands on the node below and on its source's disk, a disk belongs to its source. */
static gboolean item_stands_on(const Item *item, const Item *below)
{
    if (item == below) {
        return FALSE;
    }
    if (below->kind == ITEM_NODE) {
        return item->kind == ITEM_NODE && g_strcmp0(item->node->below, node_name(below->node)) == 0;
    }
    return item->kind == ITEM_NODE
               ? path_is_in(item->node->source, below->path)
               : below->kind == ITEM_SOURCE && item->kind == ITEM_DISK && path_is_in(item->path, below->path);
}

/* Counts by so many what stands on each item for this one. */
static void eviction_stand(const Eviction *eviction, const Item *item, int by)
{
    for (guint i = 0; i < eviction->items->len; i++) {
        Item *below = g_ptr_array_index(eviction->items, i);
        if (item_stands_on(item, below)) {
            below->above += (guint)by;
        }
    }
}

static gboolean item_goes_before(const Item *item, const Item *other)
{
    return item->why != other->why ? item->why < other->why : item->used < other->used;
}

/* The one that goes next, or NULL. */
static Item *eviction_next(const Eviction *eviction, const EvictRule *rule)
{
    Item *best = NULL;
    for (guint i = 0; i < eviction->items->len; i++) {
        Item *item = g_ptr_array_index(eviction->items, i);
        gboolean may =
            !item->gone && !item->held && item->above == 0 && (rule->before == 0 || item->used < rule->before);
        if (may && (best == NULL || item_goes_before(item, best))) {
            best = item;
        }
    }
    return best;
}

/* --- going --- */

/* With all that lies beside it. */
static void source_remove(const char *path)
{
    static const char *const beside[] = {SUM, INGOT_DOWNLOAD_CHECKED, INGOT_DOWNLOAD_USE, ".lock"};
    if (!ingot_file_remove_tree(path, NULL)) {
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(beside); i++) {
        g_autofree char *other = g_strconcat(path, beside[i], NULL);
        g_remove(other);
    }
}

static void disk_remove(const char *path)
{
    g_autofree char *sum = g_strconcat(path, SUM, NULL);
    g_remove(path);
    g_remove(sum);
}

/* Unless a build makes or uses the source, or has just kept a node on it. */
static gboolean source_drop(const Eviction *eviction, const Item *item, gboolean dry)
{
    g_autofree char *folder = item->kind == ITEM_DISK ? g_path_get_dirname(item->path) : g_strdup(item->path);
    g_autofree char *use_path = g_strconcat(folder, INGOT_DOWNLOAD_USE, NULL),
                    *lock_path = g_strconcat(folder, ".lock", NULL);
    g_autoptr(IngotLock) lock = ingot_lock_take(lock_path, TRUE, FALSE, NULL);
    g_autoptr(IngotLock) use = lock == NULL ? NULL : ingot_lock_take(use_path, TRUE, FALSE, NULL);
    if (use == NULL || dry) {
        return use != NULL;
    }
    g_autoptr(GPtrArray) nodes = nodes_list(eviction->cache, NULL);
    if (nodes == NULL || nodes_any_on(nodes, item->path) || (item->kind == ITEM_DISK && !is_replaced(item->path))) {
        return FALSE;
    }
    (item->kind == ITEM_DISK ? disk_remove : source_remove)(item->path);
    return !g_file_test(item->path, G_FILE_TEST_EXISTS);
}

static gboolean node_drop(const Item *item, gboolean dry)
{
    g_autofree char *path = node_file(item->node, NODE_LOCK);
    if (!dry) {
        return nodes_remove(item->path);
    }
    g_autoptr(IngotLock) lock = ingot_lock_take(path, TRUE, FALSE, NULL);
    return lock != NULL;
}

static char *item_what(const Eviction *eviction, const Item *item)
{
    if (item->kind == ITEM_NODE) {
        return g_strdup_printf("the machine after '%s' of %s", node_run(item->node)->title,
                               item->node->recipe == NULL ? "a recipe" : item->node->recipe);
    }
    return g_strdup_printf("the %s %s", item->kind == ITEM_DISK ? "base disk" : "source",
                           item->path + strlen(eviction->cache) + 1);
}

/* What it frees; its files are not counted any more. */
static guint64 eviction_forget(Eviction *eviction, const Item *item)
{
    guint64 freed = 0;
    for (guint i = 0; i < item->files->len; i++) {
        File *file = g_hash_table_lookup(eviction->files, &g_array_index(item->files, guint64, i));
        if (--file->names == 0) {
            freed += file->bytes;
        }
    }
    eviction->total -= freed;
    return freed;
}

static void evicted_free(gpointer data)
{
    Evicted *evicted = data;
    g_free(evicted->path);
    g_free(evicted->what);
    g_free(evicted);
}

static GPtrArray *eviction_run(Eviction *eviction, const EvictRule *rule)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(evicted_free);
    Item *item;
    while (eviction->total > rule->most && (item = eviction_next(eviction, rule)) != NULL) {
        gboolean dropped =
            item->kind == ITEM_NODE ? node_drop(item, rule->dry) : source_drop(eviction, item, rule->dry);
        item->gone = dropped;
        item->held = !dropped;
        if (dropped) {
            eviction_stand(eviction, item, -1);
            Evicted *one = g_new0(Evicted, 1);
            one->path = g_strdup(item->path);
            one->what = item_what(eviction, item);
            one->bytes = eviction_forget(eviction, item);
            one->used = item->used;
            one->why = item->why;
            g_ptr_array_add(list, one);
        }
    }
    return list;
}

GPtrArray *evict(const char *cache, const EvictRule *rule, GError **error)
{
    g_autofree char *absolute = g_canonicalize_filename(cache, NULL);
    if (!rule->dry) {
        if (!nodes_sweep(absolute, error)) {
            return NULL;
        }
        sweep_leftovers(absolute, g_get_real_time() / G_USEC_PER_SEC, rule->most == 0 && rule->before == 0);
    }
    g_auto(Eviction) eviction = {.cache = absolute, .nodes = nodes_list(absolute, error)};
    if (eviction.nodes == NULL) {
        return NULL;
    }
    eviction.items = g_ptr_array_new_with_free_func(item_free);
    eviction.files = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    eviction_add_sources(&eviction);
    eviction_add_nodes(&eviction);
    for (guint i = 0; i < eviction.items->len; i++) {
        eviction_stand(&eviction, g_ptr_array_index(eviction.items, i), 1);
    }
    return eviction_run(&eviction, rule);
}

guint64 evict_bytes(const GPtrArray *evicted)
{
    guint64 bytes = 0;
    for (guint i = 0; i < evicted->len; i++) {
        bytes += ((const Evicted *)g_ptr_array_index(evicted, i))->bytes;
    }
    return bytes;
}

const char *evict_why(EvictWhy why)
{
    static const char *const words[] = {"a newer one has replaced it", "what it stands on is of no use any more",
                                        "least recently used"};
    return words[why];
}
