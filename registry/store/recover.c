/* An index.json that is damaged or gone, made again: of the rows that can still be read, else of those of the last good
 * one (layout.h), and of what the blobs tell: images that no row names, and what is attached by its subject. */
#include <errno.h>
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "store/attached.h"
#include "store/lacking.h"
#include "store/reach.h"

#define ASIDE_MOST 100u      /* damaged ones that are kept */
#define RECOVERED_DIGITS 12u /* of an image's digest, in its tag */

static gboolean rows_are_whole(const json_t *index)
{
    const json_t *rows = json_object_get(index, "manifests");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        IngotDescriptor manifest;
        g_autofree char *name = NULL, *tag = NULL;
        if (!layout_row(json_array_get(rows, i), &manifest, &name, &tag)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* --- the rows that are known --- */

/* Those that can be read, and whose manifest is still there. */
static json_t *good_rows(IngotStore *store, const json_t *index)
{
    json_t *good = json_array();
    const json_t *rows = json_object_get(index, "manifests");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        IngotDescriptor manifest;
        g_autofree char *name = NULL, *tag = NULL;
        if (layout_row(json_array_get(rows, i), &manifest, &name, &tag) && ingot_store_has(store, &manifest.digest)) {
            json_array_append(good, json_array_get(rows, i));
        }
    }
    return good;
}

static guint count_names(const json_t *rows)
{
    guint count = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        count += layout_annotation(json_array_get(rows, i), LAYOUT_NAME) != NULL;
    }
    return count;
}

/* --- what the blobs tell --- */

/* A manifest among the blobs, or NULL. */
static json_t *read_manifest(IngotStore *store, const IngotDigest *digest, IngotDescriptor *out)
{
    g_autofree char *path = ingot_store_blob_path(store, digest);
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)INGOT_MANIFEST_MAX) {
        return NULL;
    }
    g_autoptr(GBytes) bytes = NULL;
    json_t *root = reach_read(store, digest, &bytes, NULL);
    *out = (IngotDescriptor){.digest = *digest, .size = bytes == NULL ? 0 : g_bytes_get_size(bytes)};
    return root;
}

/* All that a manifest names is there, but for layers that a pull leaves out. */
static gboolean is_complete(IngotStore *store, const IngotDigest *manifest)
{
    g_autoptr(GHashTable) parts = reach_new();
    g_autoptr(json_t) unfetched = lacking_load_layers(store, manifest);
    GHashTableIter iter;
    gpointer text;
    gboolean whole = reach_add(store, manifest, parts, NULL);
    g_hash_table_iter_init(&iter, parts);
    while (whole && g_hash_table_iter_next(&iter, &text, NULL)) {
        IngotDigest digest;
        whole = ingot_digest_parse(text, &digest, NULL) &&
                (ingot_store_has(store, &digest) || lacking_is_layer(unfetched, text));
    }
    return whole;
}

static void add_image(json_t *rows, const IngotDescriptor *manifest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&manifest->digest, text);
    g_autofree char *tag = g_strndup(text + strlen("sha256:"), RECOVERED_DIGITS);
    g_autofree char *full = ingot_name_to_text("recovered", tag);
    json_t *row = layout_new_row(INGOT_TYPE_MANIFEST, INGOT_TYPE_IMAGE, manifest);
    layout_annotate(row, LAYOUT_NAME, full);
    json_array_append_new(rows, row);
}

/* Adds a row for a blob that is an image, or is attached to something that is there. */
static void add_blob(IngotStore *store, json_t *rows, const IngotDigest *digest, guint *images)
{
    IngotDescriptor manifest;
    g_autoptr(json_t) root = read_manifest(store, digest, &manifest);
    const char *subject = json_string_value(json_object_get(json_object_get(root, "subject"), "digest"));
    const char *type = json_string_value(json_object_get(root, "artifactType"));
    IngotDigest above;
    if (root == NULL || !is_complete(store, digest)) {
        return;
    }
    if (subject != NULL && ingot_digest_parse(subject, &above, NULL) && ingot_store_has(store, &above) &&
        attached_check(root, subject, NULL)) {
        json_array_append_new(rows, attached_row(root, &above, NULL, &manifest));
    } else if (subject == NULL && g_strcmp0(type, INGOT_TYPE_IMAGE) == 0) {
        add_image(rows, &manifest);
        (*images)++;
    }
}

/* What no row reaches. What another manifest names as a mere layer may be an image nevertheless. */
static void add_blobs(IngotStore *store, json_t *rows, guint *images)
{
    g_autoptr(GHashTable) reached = reach_new();
    guint unread = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        g_autoptr(json_t) one = json_pack("[O]", json_array_get(rows, i));
        reach_rows(store, one, reached, &unread, NULL); /* one that can't be read reaches nothing more */
    }
    g_autofree char *folder = layout_path(store, "blobs/sha256");
    g_autoptr(GDir) blobs = g_dir_open(folder, 0, NULL);
    const char *name;
    while (blobs != NULL && (name = g_dir_read_name(blobs)) != NULL) {
        g_autofree char *text = g_strconcat("sha256:", name, NULL);
        IngotDigest digest;
        if (!reach_opened(reached, text) && ingot_digest_parse(text, &digest, NULL)) {
            add_blob(store, rows, &digest, images);
        }
    }
}

/* --- both --- */

/* The index as it can be made again; NULL: it is whole, or something else keeps it from being read (*error). */
static json_t *rebuild(IngotStore *store, IngotStoreRecovery *done, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(json_t) index = layout_load(store, &problem);
    if (index != NULL && rows_are_whole(index)) {
        return NULL;
    }
    if (index == NULL && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    done->problem = g_strdup(index == NULL ? problem->message : "index.json: one of its rows is damaged");
    if (index == NULL) {
        index = layout_read_last(store);
    }
    json_t *rows = good_rows(store, index);
    done->names = count_names(rows);
    add_blobs(store, rows, &done->images);
    json_t *rebuilt = layout_empty();
    json_object_set_new(rebuilt, "manifests", rows);
    return rebuilt;
}

gboolean ingot_store_look(IngotStore *store, IngotStoreRecovery *found, GError **error)
{
    *found = (IngotStoreRecovery){0};
    GError *problem = NULL;
    g_autoptr(json_t) rebuilt = rebuild(store, found, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

/* A second name for the damaged one, or, where the file system has none of these, a copy of it: until another is
 * written, what can be read of it is needed in its place. What is no file has nothing to be read, and goes away. */
static gboolean keep_beside(const char *from, const char *to, GError **error)
{
    struct stat st;
    if (link(from, to) == 0 || errno == ENOENT) {
        return TRUE;
    }
    if (lstat(from, &st) == 0 && S_ISREG(st.st_mode)) {
        gboolean copied = ingot_file_copy(from, to, error);
        if (!copied) {
            unlink(to);
        }
        return copied;
    }
    return rename(from, to) == 0 || ingot_error_set_errno(error, errno, "%s: cannot rename to %s", from, to);
}

/* The damaged one stays for whoever wants to look at it. */
static gboolean set_aside(const IngotStore *store, GError **error)
{
    g_autofree char *from = layout_path(store, "index.json");
    struct stat damaged = {0}, st;
    gboolean there = lstat(from, &damaged) == 0;
    for (guint i = 1; i <= ASIDE_MOST; i++) {
        g_autofree char *name = g_strdup_printf("index.json.damaged-%u", i), *to = layout_path(store, name);
        if (lstat(to, &st) != 0) {
            return keep_beside(from, to, error);
        }
        if (there && st.st_dev == damaged.st_dev && st.st_ino == damaged.st_ino) {
            return TRUE; /* by one who got no further */
        }
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s.damaged-1 to -%u are all there: remove them", from,
                ASIDE_MOST);
    return FALSE;
}

gboolean ingot_store_recover(IngotStore *store, IngotStoreRecovery *done, GError **error)
{
    *done = (IngotStoreRecovery){0};
    GError *problem = NULL;
    g_autoptr(IngotLock) lock = layout_lock_as_it_is(store, error);
    if (lock == NULL) {
        return FALSE;
    }
    g_autoptr(json_t) rebuilt = rebuild(store, done, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    return rebuilt == NULL ||
           (set_aside(store, error) && layout_sync_blobs(store, error) && layout_mend(store, rebuilt, error));
}

void ingot_store_recovery_clear(IngotStoreRecovery *recovery)
{
    g_clear_pointer(&recovery->problem, g_free);
}
