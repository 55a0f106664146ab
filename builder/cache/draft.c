#include "cache/draft.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <sys/stat.h>

#include "base/process.h"
#include "cache/nodes.h"
#include "cache/place.h"
#include "machine/overlay.h"

#define ATTEMPTS 3

struct NodeDraft {
    char *folder, *name;
    char *workdir;     /* where the layers lie while they are written, if not in the folder */
    GPtrArray *layers; /* their names */
    gboolean apart;    /* they are not in the folder */
    IngotLock *lock;   /* of the folder */
    gboolean published;
};

static gboolean same_file_system(const char *a, const char *b)
{
    struct stat one, other;
    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev;
}

/* A folder of a new name, locked. Until it is locked a sweep may take it for one that an ended build left: EXISTS or
 * NOT_FOUND then. */
static gboolean draft_make(NodeDraft *draft, const char *nodes, GError **error)
{
    g_free(draft->name);
    g_free(draft->folder);
    draft->name = g_strdup_printf("%08x%08x%08x", g_random_int(), g_random_int(), g_random_int());
    draft->folder = g_build_filename(nodes, draft->name, NULL);
    g_autofree char *lock = draft_file(draft, NODE_LOCK);
    if (g_mkdir(draft->folder, 0700) != 0) {
        return ingot_error_set_errno(error, errno, "%s", draft->folder);
    }
    draft->lock = ingot_lock_take(lock, FALSE, FALSE, error);
    if (draft->lock == NULL) {
        ingot_file_remove_tree(draft->folder, NULL);
    }
    return draft->lock != NULL;
}

/* Its layers are named to a running QEMU, in JSON. */
static gboolean draft_may_lie_in(const char *folder, GError **error)
{
    if (g_utf8_validate(folder, -1, NULL)) {
        return TRUE;
    }
    g_autofree char *shown = g_filename_display_name(folder);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: the path is not UTF-8", shown);
    return FALSE;
}

NodeDraft *draft_new(const char *cache, const char *workdir, GError **error)
{
    g_autofree char *nodes = nodes_folder(cache, error);
    if (nodes == NULL || !draft_may_lie_in(nodes, error) || !draft_may_lie_in(workdir, error)) {
        return NULL;
    }
    g_autoptr(NodeDraft) draft = g_new0(NodeDraft, 1);
    draft->layers = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) problem = NULL;
    for (guint i = 0; i < ATTEMPTS && draft->lock == NULL; i++) {
        g_clear_error(&problem);
        draft_make(draft, nodes, &problem);
    }
    if (draft->lock == NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    draft->apart = !same_file_system(draft->folder, workdir);
    draft->workdir = g_strdup(workdir);
    return g_steal_pointer(&draft);
}

void draft_free(NodeDraft *draft)
{
    if (draft == NULL) {
        return;
    }
    if (draft->folder != NULL && !draft->published) {
        ingot_file_remove_tree(draft->folder, NULL);
    }
    g_clear_pointer(&draft->lock, ingot_lock_release);
    g_free(draft->folder);
    g_free(draft->name);
    g_free(draft->workdir);
    g_ptr_array_unref(draft->layers);
    g_free(draft);
}

/* Where the layer is written. Free it. */
static char *draft_layer_path(const NodeDraft *draft, const char *name)
{
    g_autofree char *apart = g_strdup_printf("%s-%s", draft->name, name);
    return draft->apart ? g_build_filename(draft->workdir, apart, NULL) : draft_file(draft, name);
}

char *draft_layer(NodeDraft *draft, const char *name)
{
    if (!g_ptr_array_find_with_equal_func(draft->layers, name, g_str_equal, NULL)) {
        g_ptr_array_add(draft->layers, g_strdup(name));
    }
    return draft_layer_path(draft, name);
}

char *draft_backing(const NodeDraft *draft, const char *layer, const char *below)
{
    g_autofree char *cache = place_cache(draft->folder);
    return place_beneath(cache, layer, below);
}

const char *draft_name(const NodeDraft *draft)
{
    return draft->name;
}

char *draft_file(const NodeDraft *draft, const char *name)
{
    return g_build_filename(draft->folder, name, NULL);
}

/* The copy stands on the copy of the layer below, and names it from where it lies itself. */
static gboolean copy_layer(const NodeDraft *draft, const Node *node, const char *name, GError **error)
{
    g_autofree char *from = draft_layer_path(draft, name), *to = draft_file(draft, name);
    const char *const copy[] = {"cp", "--sparse=always", "--reflink=auto", from, to, NULL};
    if (!ingot_process_run(copy, NULL, NULL, error)) {
        return FALSE;
    }
    g_autofree char *format = NULL;
    if (!overlay_base_format(to, &format, error)) {
        return FALSE;
    }
    if (format == NULL) {
        return TRUE;
    }
    g_autofree char *nodes = g_path_get_dirname(draft->folder);
    g_autofree char *below =
        node->below == NULL ? g_strdup(node->source) : g_build_filename(nodes, node->below, name, NULL);
    g_autofree char *backing = draft_backing(draft, to, below);
    return overlay_rename_base(to, backing, format, error);
}

gboolean draft_publish(NodeDraft *draft, Node *node, GError **error)
{
    g_free(node->folder);
    node->folder = g_strdup(draft->folder);
    for (guint i = 0; i < draft->layers->len; i++) {
        const char *name = g_ptr_array_index(draft->layers, i);
        json_object_set_new(node->files, name, json_null());
        if (draft->apart && !copy_layer(draft, node, name, error)) {
            return FALSE;
        }
    }
    draft->published = node_publish(node, error);
    return draft->published;
}
