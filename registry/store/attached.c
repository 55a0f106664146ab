#include "store/attached.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "store/hold.h"
#include "store/reach.h"

#define TYPE_MAX 255u
#define SIGNATURES ".sig"       /* the end of a tag */
#define CONTENT_MAX (64u << 20) /* bytes */

static void attached_free(gpointer data)
{
    Attached *attached = data;
    g_free(attached->type);
    g_free(attached->tag);
    g_free(attached);
}

const char *attached_type(const json_t *root)
{
    const char *own = json_string_value(json_object_get(root, "artifactType"));
    return own != NULL && *own != '\0'
               ? own
               : json_string_value(json_object_get(json_object_get(root, "config"), "mediaType"));
}

const char *attached_media_type(const json_t *root)
{
    const char *own = json_string_value(json_object_get(root, "mediaType"));
    return own != NULL                                         ? own
           : json_is_array(json_object_get(root, "manifests")) ? INGOT_TYPE_LIST
                                                               : INGOT_TYPE_MANIFEST;
}

/* A registry is sent it as a header, people see it, and index.json holds it: no more than media types have (RFC 6838
 * has 127 letters on either side of the slash). */
static gboolean is_type(const char *type)
{
    gsize length = type == NULL ? 0 : strnlen(type, TYPE_MAX + 1);
    for (gsize i = 0; i < length; i++) {
        if (!g_ascii_isprint(type[i])) {
            return FALSE;
        }
    }
    return length <= TYPE_MAX;
}

gboolean attached_check(const json_t *root, const char *digest, GError **error)
{
    if (!is_type(attached_media_type(root)) || !is_type(attached_type(root))) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                    "%s: its media type or its artifact's type has other than printable letters, or more than %u",
                    digest, TYPE_MAX);
        return FALSE;
    }
    return TRUE;
}

/* --- the list --- */

/* Other tools' rows leave it to the manifest. */
static char *row_type(IngotStore *store, const json_t *row, const IngotDigest *manifest)
{
    const char *told = json_string_value(json_object_get(row, "artifactType"));
    if (told != NULL || layout_annotation(row, LAYOUT_SUBJECT) != NULL) {
        return g_strdup(told);
    }
    g_autoptr(json_t) root = reach_read(store, manifest, NULL, NULL);
    return g_strdup(attached_type(root));
}

GPtrArray *attached_list(IngotStore *store, const IngotDigest *subject, GError **error)
{
    g_autoptr(json_t) index = layout_read(store, error);
    if (index == NULL) {
        return NULL;
    }
    char wanted[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(subject, wanted);
    GPtrArray *list = g_ptr_array_new_with_free_func(attached_free);
    const json_t *rows = json_object_get(index, "manifests");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        g_autofree char *about = reach_subject(store, row), *name = NULL, *tag = NULL;
        IngotDescriptor manifest;
        if (g_strcmp0(about, wanted) == 0 && layout_row(row, &manifest, &name, &tag)) {
            Attached *one = g_new0(Attached, 1);
            one->manifest = manifest;
            one->type = row_type(store, row, &manifest.digest);
            one->tag = g_strdup(layout_annotation(row, LAYOUT_BESIDE));
            one->before = layout_annotation(row, LAYOUT_BEFORE) != NULL;
            g_ptr_array_add(list, one);
        }
    }
    return list;
}

GPtrArray *ingot_store_attachments(IngotStore *store, const IngotDescriptor *subject, GError **error)
{
    g_autoptr(GPtrArray) list = attached_list(store, &subject->digest, error);
    if (list == NULL) {
        return NULL;
    }
    GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < list->len; i++) {
        const Attached *one = g_ptr_array_index(list, i);
        g_ptr_array_add(found, g_memdup2(&one->manifest, sizeof one->manifest));
    }
    return found;
}

/* The first blob that a manifest attaches; NOT_FOUND: there is none. */
static GBytes *read_content(IngotStore *store, const IngotDigest *manifest, GError **error)
{
    g_autoptr(json_t) root = reach_read(store, manifest, NULL, error);
    if (root == NULL) {
        return NULL;
    }
    const json_t *layers = json_object_get(root, "layers");
    const json_t *layer = json_array_get(layers != NULL ? layers : json_object_get(root, "blobs"), 0);
    const char *text = json_string_value(json_object_get(layer, "digest"));
    IngotDigest digest;
    if (text == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "what is attached has no content");
        return NULL;
    }
    return ingot_digest_parse(text, &digest, error) ? ingot_store_read(store, &digest, CONTENT_MAX, error) : NULL;
}

GBytes *ingot_store_attached(IngotStore *store, const IngotDescriptor *subject, const char *artifact_type,
                             GError **error)
{
    g_autoptr(GPtrArray) all = attached_list(store, &subject->digest, error);
    for (guint i = 0; all != NULL && i < all->len; i++) {
        const Attached *one = g_ptr_array_index(all, i);
        if (g_strcmp0(one->type, artifact_type) == 0) {
            return read_content(store, &one->manifest.digest, error);
        }
    }
    if (all != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "nothing of type %s is attached", artifact_type);
    }
    return NULL;
}

/* --- what is added --- */

/* A row of something attached. */
static gboolean row_read(const json_t *row, IngotDescriptor *manifest)
{
    g_autofree char *name = NULL, *tag = NULL;
    return layout_row(row, manifest, &name, &tag) && name == NULL && layout_former(row) == NULL;
}

/* Whether two rows have the same tag beside the same image. */
static gboolean row_is_beside(const json_t *row, const json_t *other)
{
    return g_strcmp0(layout_annotation(row, LAYOUT_SUBJECT), layout_annotation(other, LAYOUT_SUBJECT)) == 0 &&
           g_strcmp0(layout_annotation(row, LAYOUT_BESIDE), layout_annotation(other, LAYOUT_BESIDE)) == 0;
}

/* The number of the row of a manifest that is attached in this way, or -1: an older Ingot's row is the same, but does
 * not say what it is attached to. A tag beside an image is one row, whatever it names. */
static ssize_t find_row(const json_t *rows, const json_t *wanted, const IngotDigest *digest, const char *tag)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        IngotDescriptor manifest;
        if (row_read(row, &manifest) && layout_annotation(row, LAYOUT_BEFORE) == NULL &&
            (tag == NULL ? ingot_digest_equal(&manifest.digest, digest) && layout_annotation(row, LAYOUT_BESIDE) == NULL
                         : row_is_beside(row, wanted))) {
            return (ssize_t)i;
        }
    }
    return -1;
}

/* TRUE: the rows are other ones now. */
static gboolean set_row(json_t *rows, json_t *row, const IngotDigest *digest, const char *tag)
{
    ssize_t old = find_row(rows, row, digest, tag);
    if (old >= 0 && json_equal(json_array_get(rows, (size_t)old), row)) {
        return FALSE;
    }
    if (old >= 0) {
        json_array_set(rows, (size_t)old, row);
    } else {
        json_array_append(rows, row);
    }
    return TRUE;
}

/* --- signatures by a tag --- */

static gboolean attached_has_layer(const json_t *manifest, const json_t *layer)
{
    const json_t *layers = json_object_get(manifest, "layers");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        if (json_equal(json_array_get(layers, i), layer)) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Signatures by several keys are of one payload: a layer's annotations tell them apart. */
gboolean attached_holds(const json_t *one, const json_t *other)
{
    const json_t *layers = json_object_get(other, "layers");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        if (!attached_has_layer(one, json_array_get(layers, i))) {
            return FALSE;
        }
    }
    return json_array_size(layers) > 0;
}

/* Whether what is not there, or damaged, is so at the next look too. */
static gboolean before_is_lost(const GError *problem)
{
    return g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INVALID) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_LIMIT);
}

/* Whether the row holds no signature but such as the new one has; what can't be read for now may hold another one. */
static gboolean before_adds_nothing(IngotStore *store, const json_t *row, const json_t *root)
{
    IngotDescriptor manifest;
    g_autoptr(GError) problem = NULL;
    g_autoptr(json_t) held = row_read(row, &manifest) ? reach_read(store, &manifest.digest, NULL, &problem) : NULL;
    return problem != NULL ? before_is_lost(problem)
                           : json_array_size(json_object_get(held, "layers")) == 0 || attached_holds(root, held);
}

/* Drops what the tag has named before and adds nothing to the new one. How many are left. */
static guint before_drop(IngotStore *store, json_t *rows, const json_t *row, const json_t *root, gboolean *changed)
{
    guint left = 0;
    for (size_t i = 0; i < json_array_size(rows);) {
        const json_t *one = json_array_get(rows, i);
        gboolean is_before = layout_annotation(one, LAYOUT_BEFORE) != NULL && row_is_beside(one, row);
        if (is_before && before_adds_nothing(store, one, root)) {
            json_array_remove(rows, i);
            *changed = TRUE;
        } else {
            left += is_before ? 1 : 0;
            i++;
        }
    }
    return left;
}

/* Keeps the signatures that a tag names until now, and that the new one does not hold. Of very many the first and the
 * last stay: another one each time makes no store grow for ever. TRUE: the rows are other ones now. */
static gboolean before_keep(IngotStore *store, json_t *rows, const json_t *row, const json_t *root, const char *tag)
{
    gboolean changed = FALSE;
    if (tag == NULL || !g_str_has_suffix(tag, SIGNATURES)) {
        return FALSE;
    }
    guint left = before_drop(store, rows, row, root, &changed);
    ssize_t now = find_row(rows, row, NULL, tag);
    if (now >= 0 && left < ATTACHED_BEFORE_MOST &&
        !before_adds_nothing(store, json_array_get(rows, (size_t)now), root)) {
        json_t *kept = json_deep_copy(json_array_get(rows, (size_t)now));
        layout_annotate(kept, LAYOUT_BEFORE, "true");
        json_array_append_new(rows, kept);
        changed = TRUE;
    }
    return changed;
}

json_t *attached_row(const json_t *root, const IngotDigest *subject, const char *tag, const IngotDescriptor *manifest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(subject, text);
    json_t *row = layout_new_row(attached_media_type(root), attached_type(root), manifest);
    layout_annotate(row, LAYOUT_SUBJECT, text);
    if (tag != NULL) {
        layout_annotate(row, LAYOUT_BESIDE, tag);
    }
    return row;
}

gboolean attached_add(IngotStore *store, const IngotDigest *subject, const char *tag, const IngotDescriptor *manifest,
                      GError **error)
{
    g_autoptr(json_t) root = reach_read(store, &manifest->digest, NULL, error);
    g_autoptr(IngotLock) lock = root == NULL ? NULL : layout_lock(store, error);
    g_autoptr(json_t) index = lock == NULL ? NULL : layout_read(store, error);
    g_autoptr(GHashTable) reached = reach_new();
    g_autofree char *digest = ingot_digest_to_text(&manifest->digest);
    if (index == NULL || !attached_check(root, digest, error) || !reach_add(store, &manifest->digest, reached, error)) {
        return FALSE;
    }
    g_autoptr(json_t) row = attached_row(root, subject, tag, manifest);
    json_t *rows = json_object_get(index, "manifests");
    gboolean kept = before_keep(store, rows, row, root, tag), set = set_row(rows, row, &manifest->digest, tag);
    return (!kept && !set) || (layout_sync_blobs(store, error) && layout_write(store, index, error));
}

static char *annotated_text(const char *text, json_t *annotations)
{
    g_autoptr(json_t) root = json_loads(text, 0, NULL);
    json_object_set(root, "annotations", annotations);
    return ingot_json_canonical(root);
}

gboolean attached_put(IngotStore *store, const IngotDescriptor *subject, const char *artifact_type,
                      const char *media_type, json_t *annotations, GBytes *content, IngotDescriptor *manifest,
                      GError **error)
{
    IngotDescriptor blob, empty, own;
    if (!ingot_store_put(store, g_bytes_get_data(content, NULL), g_bytes_get_size(content), &blob, error) ||
        !ingot_store_put(store, "{}", 2, &empty, error)) {
        return FALSE;
    }
    g_autofree char *plain = ingot_attachment_to_text(subject, artifact_type, media_type, &blob);
    g_autofree char *text = annotations == NULL ? g_strdup(plain) : annotated_text(plain, annotations);
    if (!ingot_store_put(store, text, strlen(text), &own, error) ||
        !attached_add(store, &subject->digest, NULL, &own, error)) {
        return FALSE;
    }
    const IngotDescriptor *const held[] = {&blob, &empty, &own};
    for (guint i = 0; i < G_N_ELEMENTS(held); i++) {
        hold_drop(store, &held[i]->digest);
    }
    if (manifest != NULL) {
        *manifest = own;
    }
    return TRUE;
}

gboolean ingot_store_attach(IngotStore *store, const IngotDescriptor *subject, const char *artifact_type,
                            const char *media_type, const void *data, gsize size, GError **error)
{
    g_autoptr(GBytes) content = g_bytes_new(data, size);
    return attached_put(store, subject, artifact_type, media_type, NULL, content, NULL, error);
}
