#include "server/storage/bases.h"

#include <ingot/digest.h>
#include <ingot/error.h>
#include <ingot/reference.h>

#include "server/catalogue/baserows.h"
#include "server/catalogue/diary.h"
#include "server/catalogue/links.h"
#include "server/catalogue/tags.h"
#include "server/storage/inside.h"
#include "server/storage/mentions.h"

#define DIARY_KEY "bases-named" /* 1: those of all manifests */
#define BATCH 256               /* manifests that one change notes */

gboolean manifest_base(const json_t *manifest, IngotDigest *base)
{
    const json_t *annotations = json_object_get(manifest, "annotations");
    const char *text = json_string_value(json_object_get(annotations, "org.opencontainers.image.base.digest"));
    return text != NULL && ingot_digest_parse(text, base, NULL);
}

char *manifest_base_name(const json_t *manifest)
{
    const json_t *annotations = json_object_get(manifest, "annotations");
    const char *text = json_string_value(json_object_get(annotations, "org.opencontainers.image.base.name"));
    g_autoptr(IngotReference) reference = text == NULL ? NULL : ingot_reference_parse(text, NULL);
    return reference == NULL ? NULL : g_strdup(reference->name);
}

static void base_clear(gpointer data)
{
    StorageBase *base = data;
    g_free(base->name);
}

GArray *storage_bases(Storage *storage, const IngotDigest *image, GError **error)
{
    IngotDigest at = *image;
    StorageBase base;
    gboolean found = TRUE;
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(StorageBase));
    g_array_set_clear_func(list, base_clear);
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL) {
        return NULL;
    }
    while (list->len < BASES_DEEP && found) {
        if (!base_rows_find(reader, &at, &base.digest, &base.name, &base.unread, &found, error)) {
            return NULL;
        }
        if (found) {
            g_array_append_val(list, base);
            at = base.digest;
        }
    }
    return g_steal_pointer(&list);
}

/* --- descendants --- */

typedef struct {
    Connection *reader;
    GArray *list;     /* of StorageDescendant */
    GHashTable *seen; /* digests */
    guint most;
} Descent;

static void descendant_clear(gpointer data)
{
    StorageDescendant *one = data;
    g_free(one->name);
    g_strfreev(one->tags);
}

/* Adds an image once for each repository that has it. */
static gboolean descent_add(Descent *descent, const IngotDigest *image, const IngotDigest *base, guint depth,
                            GError **error)
{
    g_auto(GStrv) names = links_holders(descent->reader, image, error);
    for (guint i = 0; names != NULL && names[i] != NULL && descent->list->len < descent->most; i++) {
        gint64 repository, blob;
        if (!links_find(descent->reader, names[i], image, &repository, &blob, error)) {
            return FALSE;
        }
        char **tags = tags_naming(descent->reader, repository, blob, error);
        if (tags == NULL) {
            return FALSE;
        }
        const StorageDescendant one = {
            .name = g_strdup(names[i]), .digest = *image, .base = *base, .depth = depth, .tags = tags};
        g_array_append_val(descent->list, one);
    }
    return names != NULL;
}

/* What stands on the images of one level becomes the next level. */
static GArray *descent_level(Descent *descent, const GArray *level, guint depth, GError **error)
{
    g_autoptr(GArray) next = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    for (guint i = 0; i < level->len; i++) {
        const IngotDigest *base = &g_array_index(level, IngotDigest, i);
        g_autoptr(GArray) children = base_rows_children(descent->reader, base, error);
        for (guint j = 0; children != NULL && j < children->len; j++) {
            const IngotDigest *child = &g_array_index(children, IngotDigest, j);
            if (!g_hash_table_add(descent->seen, g_memdup2(child, sizeof *child))) {
                continue;
            }
            if (!descent_add(descent, child, base, depth, error)) {
                return NULL;
            }
            g_array_append_val(next, *child);
        }
        if (children == NULL) {
            return NULL;
        }
    }
    return g_steal_pointer(&next);
}

GArray *storage_descendants(Storage *storage, const IngotDigest *image, guint most, GError **error)
{
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(StorageDescendant));
    g_autoptr(GHashTable) seen = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, NULL);
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    g_autoptr(GArray) level = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    g_array_set_clear_func(list, descendant_clear);
    if (reader == NULL || !database_hold(reader, error)) {
        return NULL;
    }
    Descent descent = {.reader = reader, .list = list, .seen = seen, .most = most};
    g_array_append_val(level, *image);
    for (guint depth = 1; depth <= BASES_DEEP && level->len > 0 && list->len < most; depth++) {
        GArray *next = descent_level(&descent, level, depth, error);
        if (next == NULL) {
            return NULL;
        }
        g_array_unref(level);
        level = next;
    }
    return g_steal_pointer(&list);
}

/* --- what older versions have taken --- */

typedef struct {
    IngotDigest image, base;
    char *name; /* of the base's repository, or NULL */
} BaseEdge;

static void edge_clear(gpointer data)
{
    BaseEdge *edge = data;
    g_free(edge->name);
}

typedef struct {
    gint64 repository, blob; /* of the last manifest that was read; 0: none yet */
    GArray *edges;           /* of BaseEdge */
    GError *failed;          /* of the first manifest that could not be read; NULL: all were */
} BaseScan;

/* One manifest's. One that can't be read now may be repaired, and is read by another scan; one that was removed
 * meanwhile has none. */
static void scan_read(BaseScan *scan, Storage *storage, const char *name, const IngotDigest *image)
{
    BaseEdge edge = {.image = *image};
    GError *problem = NULL;
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, image, &type, &problem);
    gboolean removed =
        g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) && !storage_has_manifest(storage, name, image);
    if (problem != NULL && !removed && scan->failed == NULL) {
        scan->failed = g_steal_pointer(&problem);
    }
    g_clear_error(&problem);
    g_autoptr(json_t) root =
        bytes == NULL ? NULL : manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    if (manifest_base(root, &edge.base)) {
        edge.name = manifest_base_name(root);
        g_array_append_val(scan->edges, edge);
    }
}

/* The next of them; *more: there may be others behind. */
static gboolean scan_batch(BaseScan *scan, Storage *storage, gboolean *more, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    *more = TRUE;
    for (guint i = 0; reader != NULL && *more && i < BATCH; i++) {
        IngotDigest image;
        g_autofree char *name = NULL;
        if (!base_rows_next(reader, &scan->repository, &scan->blob, &name, &image, more, error)) {
            return FALSE;
        }
        if (*more) {
            scan_read(scan, storage, name, &image);
        }
    }
    return reader != NULL;
}

static gboolean scan_keep(BaseScan *scan, Storage *storage, gboolean ended, GError **error)
{
    Change change;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    gboolean ok = TRUE;
    for (guint i = 0; ok && i < scan->edges->len; i++) {
        const BaseEdge *edge = &g_array_index(scan->edges, BaseEdge, i);
        ok = base_rows_put(change.writer, &edge->image, &edge->base, edge->name, error);
    }
    g_array_set_size(scan->edges, 0);
    gboolean all = ended && scan->failed == NULL;
    return change_end(&change, ok && (!all || diary_set(change.writer, DIARY_KEY, 1, error)), error);
}

static gboolean bases_are_read(Storage *storage, gboolean *read, GError **error)
{
    gint64 value = 0;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    gboolean ok = reader != NULL && diary_get(reader, DIARY_KEY, 0, &value, error);
    *read = value != 0;
    return ok;
}

static gboolean scan_all(BaseScan *scan, Storage *storage, gboolean (*goes_on)(gpointer user), gpointer user,
                         GError **error)
{
    gboolean more = TRUE;
    while (more) {
        if (goes_on != NULL && !goes_on(user)) {
            return FALSE;
        }
        if (!scan_batch(scan, storage, &more, error) || !scan_keep(scan, storage, !more, error)) {
            return FALSE;
        }
    }
    if (scan->failed != NULL) {
        g_propagate_error(error, g_steal_pointer(&scan->failed));
        return FALSE;
    }
    return TRUE;
}

gboolean storage_read_bases(Storage *storage, gboolean (*goes_on)(gpointer user), gpointer user, GError **error)
{
    gboolean read;
    g_autoptr(GArray) edges = g_array_new(FALSE, FALSE, sizeof(BaseEdge));
    g_array_set_clear_func(edges, edge_clear);
    BaseScan scan = {.edges = edges};
    if (!bases_are_read(storage, &read, error) || read) {
        return read;
    }
    gboolean ok = scan_all(&scan, storage, goes_on, user, error);
    g_clear_error(&scan.failed);
    return ok;
}
