/* The OCI image layout of a site: index.json names images as the local store's does, so that whoever copies the folder
 * has a store of it, and other tools (skopeo, oras) read it. */
#include <errno.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/publish/beside.h"
#include "cli/publish/publication.h"
#include "image/architecture.h"
#include "store/attached.h"
#include "store/layout.h"
#include "store/reach.h"

#define FOLDER "oci/"
#define BLOBS FOLDER "blobs/sha256/"
#define INDEX_PATH FOLDER "index.json"
#define LAYOUT_PATH FOLDER "oci-layout"
#define LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"
#define INDEX_MAX (32u << 20) /* bytes */
#define INDEX_VALUES (1u << 19)
/* The formats that an image was made for, where its config says: a version may have an image for each provider. */
#define OUTPUTS "vnd.ingot.outputs"
#define LEVELS_MOST 8u /* of things attached to things attached */

/* What goes into a layout: blobs, and rows of its index. */
typedef struct {
    const Publication *publication;
    GHashTable *blobs; /* digests (reach.h) */
    json_t *rows;
} Parts;

static void parts_clear(Parts *parts)
{
    g_clear_pointer(&parts->blobs, g_hash_table_unref);
    g_clear_pointer(&parts->rows, json_decref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Parts, parts_clear)

/* --- index.json --- */

/* OCI's word for it, which the image's config has. */
static const char *own_platform(const Publication *publication)
{
    return json_string_value(json_object_get(publication->image->config, "architecture"));
}

/* NULL: it is for all. Free it. */
static char *own_outputs(const Publication *publication)
{
    const json_t *outputs = json_object_get(publication->image->config, "outputs");
    g_autoptr(GStrvBuilder) words = g_strv_builder_new();
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        const char *word = json_string_value(json_array_get(outputs, i));
        g_strv_builder_add(words, word == NULL ? "" : word);
    }
    g_auto(GStrv) list = g_strv_builder_end(words);
    return *list == NULL ? NULL : g_strjoinv(",", list);
}

static json_t *image_row(const Publication *publication)
{
    json_t *row = layout_new_row(INGOT_TYPE_MANIFEST, INGOT_TYPE_IMAGE, &publication->image->entry->manifest);
    g_autofree char *name = ingot_name_to_text(publication->name, publication->tag);
    g_autofree char *outputs = own_outputs(publication);
    const char *platform = own_platform(publication);
    layout_annotate(row, LAYOUT_NAME, name);
    if (outputs != NULL) {
        layout_annotate(row, OUTPUTS, outputs);
    }
    if (platform != NULL) {
        json_object_set_new(row, "platform", ingot_json_pack("{s:s, s:s}", "architecture", platform, "os", "linux"));
    }
    return row;
}

static gboolean same_digest(const json_t *a, const json_t *b)
{
    return json_equal(json_object_get(a, "digest"), json_object_get(b, "digest"));
}

static const char *plain_platform(const json_t *row)
{
    return architecture_plain(layout_architecture(row));
}

/* Whether there is a format that both are for; one that does not say what it is for is for all. */
static gboolean share_outputs(const json_t *a, const json_t *b)
{
    const char *one = layout_annotation(a, OUTPUTS), *other = layout_annotation(b, OUTPUTS);
    if (one == NULL || other == NULL) {
        return TRUE;
    }
    g_auto(GStrv) words = g_strsplit(one, ",", -1), others = g_strsplit(other, ",", -1);
    for (guint i = 0; words[i] != NULL; i++) {
        if (g_strv_contains((const char *const *)others, words[i])) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Whether two rows stand for one thing, of which an index has one: an image by its name, its architecture and
 * what it is for, what is attached by itself and what it is attached to. */
static gboolean same_place(const json_t *a, const json_t *b)
{
    const char *name = layout_annotation(a, LAYOUT_NAME);
    if (name != NULL || layout_annotation(b, LAYOUT_NAME) != NULL) {
        return g_strcmp0(name, layout_annotation(b, LAYOUT_NAME)) == 0 &&
               g_strcmp0(plain_platform(a), plain_platform(b)) == 0 && share_outputs(a, b);
    }
    return g_strcmp0(layout_annotation(a, LAYOUT_SUBJECT), layout_annotation(b, LAYOUT_SUBJECT)) == 0 &&
           g_strcmp0(layout_annotation(a, LAYOUT_BESIDE), layout_annotation(b, LAYOUT_BESIDE)) == 0 &&
           same_digest(a, b);
}

/* In the place of all that stand for the same. */
static void put_row(json_t *rows, json_t *row)
{
    gboolean put = FALSE;
    for (size_t i = 0; i < json_array_size(rows);) {
        if (!same_place(json_array_get(rows, i), row)) {
            i++;
        } else if (put) {
            json_array_remove(rows, i);
        } else {
            json_array_set(rows, i++, row);
            put = TRUE;
        }
    }
    if (!put) {
        json_array_append(rows, row);
    }
}

static gboolean refuse_other(const Publication *publication, const json_t *other, GError **error)
{
    g_autofree char *where = site_name(publication->site, INDEX_PATH),
                    *own = ingot_digest_to_text(&publication->image->entry->manifest.digest);
    const char *digest = json_string_value(json_object_get(other, "digest"));
    g_set_error(
        error, INGOT_ERROR, INGOT_ERROR_EXISTS,
        "%s:%s is another image in %s, %s: a version never changes; publish %s as a new one (--name NAME:VERSION)",
        publication->name, publication->tag, where, digest == NULL ? "without a digest" : digest, own);
    return FALSE;
}

/* *there: index.json has the image. */
static gboolean check_rows(const Publication *publication, const json_t *rows, gboolean *there, GError **error)
{
    g_autoptr(json_t) wanted = image_row(publication);
    *there = FALSE;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        gboolean same = same_place(row, wanted);
        if (same && !same_digest(row, wanted) && ingot_tag_is_version(publication->tag)) {
            return refuse_other(publication, row, error);
        }
        *there = *there || (same && same_digest(row, wanted));
    }
    return TRUE;
}

/* An empty index where there is none. */
static json_t *parse_index(const Publication *publication, GBytes *bytes, GError **error)
{
    g_autofree char *where = site_name(publication->site, INDEX_PATH);
    if (bytes == NULL) {
        return layout_empty();
    }
    g_autoptr(json_t) index = ingot_json_parse_bytes(bytes, where, INDEX_VALUES, error);
    return index != NULL && ingot_json_get_array(index, "manifests", where, error) != NULL ? g_steal_pointer(&index)
                                                                                           : NULL;
}

gboolean publish_layout_check(const Publication *publication, gboolean *there, GError **error)
{
    g_autoptr(GBytes) bytes = NULL;
    if (!site_read(publication->site, INDEX_PATH, INDEX_MAX, &bytes, error)) {
        return FALSE;
    }
    g_autoptr(json_t) index = parse_index(publication, bytes, error);
    return index != NULL && check_rows(publication, json_object_get(index, "manifests"), there, error);
}

static GBytes *change_index(GBytes *before, gpointer user, GError **error)
{
    const Parts *parts = user;
    gboolean there;
    g_autoptr(json_t) index = parse_index(parts->publication, before, error);
    json_t *rows = index == NULL ? NULL : json_object_get(index, "manifests");
    if (rows == NULL || !check_rows(parts->publication, rows, &there, error)) {
        return NULL;
    }
    for (size_t i = 0; i < json_array_size(parts->rows); i++) {
        json_t *row = json_array_get(parts->rows, i);
        if (layout_annotation(row, LAYOUT_BESIDE) != NULL) {
            beside_put(parts->publication->site, BLOBS, rows, row);
        } else {
            put_row(rows, row);
        }
    }
    char *text = ingot_json_pretty(index);
    return g_bytes_new_take(text, strlen(text));
}

static GBytes *change_layout_file(GBytes *before, gpointer user, GError **error)
{
    (void)user, (void)error;
    return before != NULL ? g_bytes_ref(before) : g_bytes_new_static(LAYOUT_TEXT, strlen(LAYOUT_TEXT));
}

/* --- blobs --- */

static gboolean add_attached(Parts *parts, const IngotDigest *subject, guint level, GError **error)
{
    IngotStore *store = parts->publication->store;
    g_autoptr(GPtrArray) list = level > LEVELS_MOST ? NULL : attached_list(store, subject, error);
    for (guint i = 0; list != NULL && i < list->len; i++) {
        const Attached *one = g_ptr_array_index(list, i);
        g_autoptr(json_t) root = reach_read(store, &one->manifest.digest, NULL, error);
        if (root == NULL || !reach_add(store, &one->manifest.digest, parts->blobs, error)) {
            return FALSE;
        }
        json_t *row = attached_row(root, subject, one->tag, &one->manifest);
        if (one->before) {
            layout_annotate(row, LAYOUT_BEFORE, "true");
        }
        json_array_append_new(parts->rows, row);
        if (!add_attached(parts, &one->manifest.digest, level + 1, error)) {
            return FALSE;
        }
    }
    return list != NULL || level > LEVELS_MOST;
}

static gboolean collect(Parts *parts, GError **error)
{
    const Publication *publication = parts->publication;
    const IngotDigest *image = &publication->image->entry->manifest.digest;
    parts->blobs = reach_new();
    parts->rows = json_array();
    json_array_append_new(parts->rows, image_row(publication));
    return reach_add(publication->store, image, parts->blobs, error) && add_attached(parts, image, 0, error);
}

static gboolean refuse_size(const Publication *publication, const char *digest, guint64 size, GError **error)
{
    g_autofree char *is = ingot_text_size(size), *most = ingot_text_size(publication->max_size);
    g_set_error(
        error, INGOT_ERROR, INGOT_ERROR_LIMIT,
        "%s:%s: a part of it (%.19s) has %s, and an object may have %s (--max-size); no part of an OCI layout is "
        "ever cut",
        publication->name, publication->tag, digest, is, most);
    return FALSE;
}

/* One of the blobs that are sent. */
typedef struct {
    IngotDigest digest;
    char *path, *to; /* where it is, and is to be */
    guint64 size;
} Blob;

static void blob_clear(Blob *blob)
{
    g_free(blob->path);
    g_free(blob->to);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Blob, blob_clear)

static gboolean find_blob(const Publication *publication, const char *digest, Blob *blob, GError **error)
{
    struct stat st;
    if (!ingot_digest_parse(digest, &blob->digest, error)) {
        return FALSE;
    }
    blob->path = ingot_store_blob_path(publication->store, &blob->digest);
    blob->to = g_strconcat(BLOBS, digest + strlen("sha256:"), NULL);
    if (stat(blob->path, &st) != 0) {
        return ingot_error_set_errno(error, errno, "%s", blob->path);
    }
    blob->size = (guint64)st.st_size;
    return blob->size <= publication->max_size || refuse_size(publication, digest, blob->size, error);
}

/* Of all blobs, before anything is sent. */
static gboolean add_sizes(const Parts *parts, guint64 *total, GError **error)
{
    GHashTableIter each;
    gpointer digest;
    g_hash_table_iter_init(&each, parts->blobs);
    *total = 0;
    while (g_hash_table_iter_next(&each, &digest, NULL)) {
        g_auto(Blob) blob = {0};
        if (!find_blob(parts->publication, digest, &blob, error)) {
            return FALSE;
        }
        *total += blob.size;
    }
    return TRUE;
}

/* What is damaged in the store is not handed on. */
static gboolean check_blob(const char *path, const IngotDigest *digest, GError **error)
{
    IngotDigest is;
    if (!ingot_digest_of_file(path, &is, NULL, error)) {
        return FALSE;
    }
    if (!ingot_digest_equal(&is, digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: damaged; `ingot fsck` finds what needs it", path);
        return FALSE;
    }
    return TRUE;
}

/* A blob that is there with its size is whole: none is there otherwise. */
static gboolean send_blob(const Publication *publication, const char *digest, GError **error)
{
    g_auto(Blob) blob = {0};
    gboolean there;
    guint64 has;
    if (!find_blob(publication, digest, &blob, error) || !site_find(publication->site, blob.to, &there, &has, error)) {
        return FALSE;
    }
    if (there && has == blob.size) {
        ingot_progress_add(publication->progress, blob.size);
        return TRUE;
    }
    const SiteObject object = {
        .path = blob.path, .type = "application/octet-stream", .size = blob.size, .digest = blob.digest};
    return check_blob(blob.path, &blob.digest, error) && site_put(publication->site, blob.to, &object, error);
}

static gboolean send_each(const Parts *parts, GError **error)
{
    GHashTableIter each;
    gpointer digest;
    g_hash_table_iter_init(&each, parts->blobs);
    while (g_hash_table_iter_next(&each, &digest, NULL)) {
        if (!send_blob(parts->publication, digest, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean send_blobs(const Parts *parts, GError **error)
{
    const Publication *publication = parts->publication;
    guint64 total;
    if (!add_sizes(parts, &total, error)) {
        return FALSE;
    }
    ingot_progress_begin(publication->progress, total, "publish %s:%s", publication->name, publication->tag);
    if (!send_each(parts, error)) {
        ingot_progress_drop(publication->progress);
        return FALSE;
    }
    ingot_progress_end(publication->progress, NULL);
    return TRUE;
}

gboolean publish_layout(const Publication *publication, GError **error)
{
    g_auto(Parts) parts = {.publication = publication};
    return collect(&parts, error) && send_blobs(&parts, error) &&
           site_change(publication->site, LAYOUT_PATH, "application/json", INDEX_MAX, change_layout_file, NULL,
                       error) &&
           site_change(publication->site, INDEX_PATH, "application/json", INDEX_MAX, change_index, &parts, error);
}
