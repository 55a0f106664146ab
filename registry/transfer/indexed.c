#include "transfer/indexed.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "image/architecture.h"
#include "remote/ours.h"

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

static void merge(json_t *entries, const IndexedImage *image)
{
    g_autoptr(json_t) entry = entry_new(image);
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *before = json_array_get(entries, i);
        if (is_alike(before, entry)) {
            if (g_strcmp0(get(before, "digest"), get(entry, "digest")) != 0) {
                json_array_set(entries, i, entry);
            }
            return;
        }
    }
    json_array_append(entries, entry);
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

typedef struct {
    gboolean is_there;
    IngotDescriptor manifest;
    json_t *root; /* of an index; an image is one entry of a new one */
} Before;

static void before_clear(Before *before)
{
    json_decref(before->root);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Before, before_clear)

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

static gboolean read_before(IngotRemote *remote, const IngotReference *where, Before *before, GError **error)
{
    g_autofree char *what = ingot_reference_to_text(where);
    GError *problem = NULL;
    g_autoptr(GBytes) bytes =
        ingot_remote_get_manifest(remote, where->name, where->tag, &before->manifest, NULL, &problem);
    before->is_there = bytes != NULL;
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_error_free(problem);
        before->root = index_new();
        return TRUE;
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    gsize room = INGOT_MANIFEST_VALUES;
    before->root = ingot_json_parse_within(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), what, &room, error);
    if (before->root != NULL && !json_is_array(json_object_get(before->root, "manifests"))) {
        json_decref(before->root);
        before->root = index_of_image(remote, where->name, &before->manifest, bytes, what, error);
    }
    return before->root != NULL;
}

/* --- putting --- */

typedef struct {
    IngotRemote *remote;
    const IngotReference *where;
    const IndexedImage *images;
    guint count;
    IngotDescriptor *index;
    GError *refusal;     /* of the last try; NULL: none */
    IngotDigest refused; /* what the tag named then */
} Adding;

static char *text_of(json_t *root, const IndexedImage *images, guint count, IngotDescriptor *index)
{
    for (guint i = 0; i < count; i++) {
        merge(json_object_get(root, "manifests"), &images[i]);
    }
    char *text = ingot_json_canonical(root);
    ingot_digest_of(text, strlen(text), &index->digest);
    index->size = strlen(text);
    return text;
}

/* *done: the tag names all of them; else it is to be tried again on what it names by then. refusal: of the try before;
 * where the tag names still what it named then, that is for good. */
static gboolean try_to_add(Adding *adding, gboolean *done, GError **error)
{
    g_auto(Before) before = {0};
    const IngotReference *where = adding->where;
    if (!read_before(adding->remote, where, &before, error)) {
        return FALSE;
    }
    g_autofree char *text = text_of(before.root, adding->images, adding->count, adding->index);
    *done = before.is_there && ingot_digest_equal(&adding->index->digest, &before.manifest.digest);
    if (*done) {
        return TRUE;
    }
    if (adding->refusal != NULL && before.is_there && ingot_digest_equal(&adding->refused, &before.manifest.digest)) {
        g_propagate_error(error, g_steal_pointer(&adding->refusal));
        return FALSE;
    }
    GError *problem = NULL;
    g_clear_error(&adding->refusal);
    adding->refused = before.manifest.digest;
    if (ingot_remote_replace_manifest(adding->remote, where->name, where->tag, text, strlen(text), INGOT_TYPE_LIST,
                                      before.is_there ? &before.manifest.digest : NULL, &problem)) {
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
    gboolean done = FALSE;
    for (guint i = 0; i < TRIES; i++) {
        if (!try_to_add(adding, &done, error)) {
            return FALSE;
        }
        if (done) {
            return TRUE;
        }
    }
    g_autofree char *what = ingot_reference_to_text(adding->where);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: others go on changing what it names", what);
    return FALSE;
}

gboolean indexed_put(IngotRemote *remote, const IngotReference *where, const IndexedImage *images, guint count,
                     gboolean add, IngotDescriptor *index, GError **error)
{
    if (add) {
        Adding adding = {remote, where, images, count, index, .refusal = NULL};
        gboolean ok = add_all(&adding, error);
        g_clear_error(&adding.refusal);
        return ok;
    }
    g_autoptr(json_t) root = index_new();
    g_autofree char *text = text_of(root, images, count, index);
    return ingot_remote_put_manifest(remote, where->name, where->tag, text, strlen(text), INGOT_TYPE_LIST, error);
}
