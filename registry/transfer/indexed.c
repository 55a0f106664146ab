#include "transfer/indexed.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "image/architecture.h"
#include "remote/ours.h"
#include "remote/together.h"

#define OS "linux"
#define CONFIG_MAX (16u << 20) /* bytes */
#define TRIES 20u              /* as many may add at once */

static const char *get(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* --- entries --- */

static json_t *entry_new(const IndexedImage *image)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&image->manifest.digest, digest);
    return json_pack("{s:s, s:s, s:I, s:s, s:{s:s, s:s}}", "mediaType", INGOT_TYPE_MANIFEST, "digest", digest, "size",
                     (json_int_t)image->manifest.size, "artifactType", INGOT_TYPE_IMAGE, "platform", "architecture",
                     image->architecture, "os", OS);
}

/* Whether one takes the place of the other: disks of Ingot's for one platform. */
static gboolean is_alike(const json_t *a, const json_t *b)
{
    const json_t *one = json_object_get(a, "platform"), *other = json_object_get(b, "platform");
    return g_strcmp0(get(a, "artifactType"), get(b, "artifactType")) == 0 &&
           g_strcmp0(get(one, "os"), get(other, "os")) == 0 &&
           g_strcmp0(get(one, "architecture"), get(other, "architecture")) == 0;
}

/* FALSE: it is there already. */
static gboolean merge(json_t *entries, const IndexedImage *image)
{
    g_autoptr(json_t) entry = entry_new(image);
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *before = json_array_get(entries, i);
        if (is_alike(before, entry)) {
            return g_strcmp0(get(before, "digest"), get(entry, "digest")) != 0 &&
                   json_array_set(entries, i, entry) == 0;
        }
    }
    return json_array_append(entries, entry) == 0;
}

gboolean indexed_check(const IndexedImage *images, guint count, GError **error)
{
    for (guint i = 0; i < count; i++) {
        for (guint j = 0; j < i; j++) {
            if (strcmp(images[i].architecture, images[j].architecture) == 0) {
                g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                            "two of the images are for %s: a tag has one for each architecture",
                            images[i].architecture);
                return FALSE;
            }
        }
    }
    return TRUE;
}

/* --- what the tag names --- */

static json_t *index_new(void)
{
    return json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", INGOT_TYPE_LIST, "manifests");
}

/* An image's own config says its architecture. */
static json_t *index_of_image(IngotRemote *remote, const char *name, const IngotDescriptor *descriptor, GBytes *bytes,
                              const char *what, GError **error)
{
    g_autoptr(IngotManifest) manifest =
        ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), what, error);
    g_autoptr(GBytes) text =
        manifest == NULL ? NULL : ingot_remote_get_blob(remote, name, &manifest->config.digest, CONFIG_MAX, error);
    g_autoptr(json_t) config =
        text == NULL ? NULL : ingot_config_parse(g_bytes_get_data(text, NULL), g_bytes_get_size(text), what, error);
    if (config == NULL) {
        return NULL;
    }
    const IndexedImage image = {.manifest = *descriptor,
                                .architecture = architecture_plain(get(config, "architecture"))};
    json_t *root = index_new();
    merge(json_object_get(root, "manifests"), &image);
    return root;
}

/* --- putting --- */

static gboolean merge_all(json_t *root, const IndexedImage *images, guint count)
{
    gboolean changed = FALSE;
    for (guint i = 0; i < count; i++) {
        changed |= merge(json_object_get(root, "manifests"), &images[i]);
    }
    return changed;
}

/* The index that is to be put. Free it. */
static char *text_of(const json_t *root, IngotDescriptor *index)
{
    char *text = ingot_json_canonical(root);
    ingot_digest_of(text, strlen(text), &index->digest);
    index->size = strlen(text);
    return text;
}

typedef struct {
    IngotRemote *remote;
    const IngotReference *where;
    const IndexedImage *images;
    guint count;
    IngotDescriptor *index;
    IngotDescriptor before; /* what the tag named when it was read */
    gboolean is_there;      /* it named something */
    json_t *root;           /* the index then; an image is one entry of a new one */
    GError *refusal;        /* of the last try; NULL: none */
    gboolean had;           /* the tag named something then … */
    IngotDigest refused;    /* … which was this */
} Adding;

static void adding_clear(Adding *adding)
{
    g_clear_pointer(&adding->root, json_decref);
    g_clear_error(&adding->refusal);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Adding, adding_clear)

/* *is_index: what the tag names is an index. */
static gboolean read_before(Adding *adding, gboolean *is_index, GError **error)
{
    const IngotReference *where = adding->where;
    g_autofree char *what = ingot_reference_to_text(where);
    GError *problem = NULL;
    g_autoptr(GBytes) bytes =
        ingot_remote_get_manifest(adding->remote, where->name, where->tag, &adding->before, NULL, &problem);
    g_clear_pointer(&adding->root, json_decref);
    adding->is_there = bytes != NULL;
    *is_index = FALSE;
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_error_free(problem);
        adding->root = index_new();
        return TRUE;
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    gsize room = INGOT_MANIFEST_VALUES;
    adding->root = ingot_json_parse_within(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), what, &room, error);
    *is_index = json_is_array(json_object_get(adding->root, "manifests"));
    if (adding->root != NULL && !*is_index) {
        json_decref(adding->root);
        adding->root = index_of_image(adding->remote, where->name, &adding->before, bytes, what, error);
    }
    return adding->root != NULL;
}

/* Whether the tag names still what it named when the last try was refused, or still nothing. */
static gboolean adding_stands(const Adding *adding)
{
    return adding->is_there == adding->had &&
           (!adding->had || ingot_digest_equal(&adding->refused, &adding->before.digest));
}

/* For together_write. A refusal is for good where nobody else has changed what the tag names. */
static gboolean adding_read(gpointer user, gboolean *has, GError **error)
{
    Adding *adding = user;
    gboolean is_index;
    if (!read_before(adding, &is_index, error)) {
        return FALSE;
    }
    *has = !merge_all(adding->root, adding->images, adding->count) && is_index;
    if (*has) {
        *adding->index = adding->before;
        return TRUE;
    }
    if (adding->refusal != NULL && adding_stands(adding)) {
        g_propagate_error(error, g_steal_pointer(&adding->refusal));
        return FALSE;
    }
    g_clear_error(&adding->refusal);
    return TRUE;
}

static gboolean adding_write(gpointer user, GError **error)
{
    Adding *adding = user;
    g_autofree char *text = text_of(adding->root, adding->index);
    GError *problem = NULL;
    adding->had = adding->is_there;
    adding->refused = adding->before.digest;
    if (ingot_remote_replace_manifest(adding->remote, adding->where->name, adding->where->tag, text, strlen(text),
                                      INGOT_TYPE_LIST, adding->is_there ? &adding->before.digest : NULL, &problem)) {
        return TRUE;
    }
    if (!g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_EXISTS)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    adding->refusal = problem;
    return TRUE;
}

static gboolean add_all(Adding *adding, GError **error)
{
    const Together work = {adding_read, adding_write, adding};
    gboolean has;
    if (!together_write(adding->remote, &work, TRIES, &has, error)) {
        return FALSE;
    }
    if (!has) {
        g_autofree char *what = ingot_reference_to_text(adding->where);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: others go on changing what it names", what);
    }
    return has;
}

gboolean indexed_put(IngotRemote *remote, const IngotReference *where, const IndexedImage *images, guint count,
                     gboolean add, IngotDescriptor *index, GError **error)
{
    if (add) {
        g_auto(Adding) adding = {remote, where, images, count, index};
        return add_all(&adding, error);
    }
    g_autoptr(json_t) root = index_new();
    merge_all(root, images, count);
    g_autofree char *text = text_of(root, index);
    return ingot_remote_put_manifest(remote, where->name, where->tag, text, strlen(text), INGOT_TYPE_LIST, error);
}
