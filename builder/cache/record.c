#include "cache/record.h"

#include <glib/gstdio.h>
#include <string.h>
#include <utime.h>

#include "base/file.h"
#include "cache/nodes.h"

#define VERSION 5
#define RECORD_MAX (16u << 20) /* bytes; it names every file that the outputs made */

/* The version is in the key besides the plan, since the image's manifest says it. */
static char *record_path(const char *cache, const RecordOf *of)
{
    IngotDigest key;
    char text[INGOT_DIGEST_TEXT_SIZE];
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    ingot_hasher_add(hasher, of->plan->image.bytes, sizeof of->plan->image.bytes);
    ingot_hasher_add(hasher, of->version, strlen(of->version));
    ingot_hasher_finish(hasher, &key);
    ingot_digest_write_text(&key, text);
    g_autofree char *file = g_strconcat(text + strlen("sha256:"), ".json", NULL);
    return g_build_filename(cache, "images", file, NULL);
}

/* Whether every stage may still stand. */
static gboolean is_fresh(const json_t *record, const Plan *plan, gint64 now)
{
    const json_t *runs = json_object_get(record, "runs");
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);
        const char *text = json_string_value(json_object_get(run, "key"));
        IngotDigest key;
        int stage = text != NULL && ingot_digest_parse(text, &key, NULL) ? plan_find_key(plan, &key) : -1;
        const NodeRun before = {.ran = json_integer_value(json_object_get(run, "ran")),
                                .made = json_object_get(run, "made")};
        g_autofree char *why =
            stage < 0 ? g_strdup("of another plan") : nodes_why_stale(plan_stage(plan, (guint)stage), &before, now);
        if (why != NULL) {
            return FALSE;
        }
    }
    return json_is_array(runs);
}

/* When the image's stage of that key ran: seconds since 1970; -1: it has none. */
static gint64 record_ran(const json_t *record, const IngotDigest *key)
{
    const json_t *runs = json_object_get(record, "runs");
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(key, text);
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);
        if (g_strcmp0(json_string_value(json_object_get(run, "key")), text) == 0) {
            return json_integer_value(json_object_get(run, "ran"));
        }
    }
    return -1;
}

/* Whether a build would go on from a later run of one of the image's steps: its tests may have failed since. That a
 * machine was booted once more says nothing. */
static gboolean is_superseded(const json_t *record, const char *cache, const RecordOf *of, gint64 now)
{
    const Plan *plan = of->plan;
    g_autoptr(GPtrArray) nodes = nodes_list(cache, NULL);
    const Node *best = nodes == NULL ? NULL : nodes_best(nodes, plan, of->source, -1, now);
    for (guint i = 0; best != NULL && i < best->runs->len; i++) {
        const NodeRun *run = g_ptr_array_index(best->runs, i);
        gint64 ran = record_ran(record, &run->key);
        if (plan_find_key(plan, &run->key) > 0 && ran >= 0 && run->ran > ran) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean record_fits(const json_t *record, const RecordOf *of, gint64 now)
{
    return json_integer_value(json_object_get(record, "version")) == VERSION &&
           (!of->tested || json_is_true(json_object_get(record, "tested"))) &&
           (!of->clean || json_is_true(json_object_get(record, "clean"))) && is_fresh(record, of->plan, now);
}

/* With every blob: a store can lose one of them and keep the manifest (a disk that was damaged, a copy that was cut).
 */
static gboolean record_image_is_whole(IngotStore *store, const char *digest)
{
    g_autoptr(IngotReference) named = ingot_reference_new(NULL, "recorded", NULL, digest);
    g_autoptr(IngotImage) image = ingot_store_image_by_digest(store, named, NULL);
    return image != NULL && ingot_store_hold_image(store, image); /* until it is named */
}

gboolean record_find(const char *cache, IngotStore *store, const RecordOf *of, gint64 now, IngotDescriptor *manifest)
{
    g_autofree char *path = record_path(cache, of);
    g_autoptr(GBytes) bytes = ingot_file_read(path, RECORD_MAX, NULL);
    g_autoptr(json_t) record =
        bytes == NULL ? NULL : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), path, NULL);
    const char *digest = record == NULL ? NULL : ingot_json_get_string(record, "manifest", path, NULL);
    if (digest == NULL || !record_fits(record, of, now) || !ingot_digest_parse(digest, &manifest->digest, NULL) ||
        !ingot_json_get_size(record, "size", path, &manifest->size, NULL) || !record_image_is_whole(store, digest) ||
        is_superseded(record, cache, of, now)) {
        return FALSE;
    }
    g_utime(path, NULL); /* the sweep goes by when it was used last */
    return TRUE;
}

static json_t *describe_runs(const GPtrArray *runs)
{
    json_t *list = json_array();
    for (guint i = 0; i < runs->len; i++) {
        const NodeRun *run = g_ptr_array_index(runs, i);
        char key[INGOT_DIGEST_TEXT_SIZE];
        ingot_digest_write_text(&run->key, key);
        json_t *entry = ingot_json_pack("{s:s, s:I}", "key", key, "ran", (json_int_t)run->ran);
        if (json_object_size(run->made) > 0) {
            json_object_set(entry, "made", run->made);
        }
        json_array_append_new(list, entry);
    }
    return list;
}

gboolean record_save(const char *cache, const RecordOf *of, const GPtrArray *runs, const IngotDescriptor *manifest,
                     GError **error)
{
    g_autofree char *path = record_path(cache, of);
    g_autofree char *folder = g_path_get_dirname(path);
    if (!ingot_file_make_folder(folder, error)) {
        return FALSE;
    }
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&manifest->digest, digest);
    g_autoptr(json_t) record =
        ingot_json_pack("{s:i, s:b, s:b, s:s, s:I, s:o}", "version", VERSION, "tested", of->tested, "clean", of->clean,
                        "manifest", digest, "size", (json_int_t)manifest->size, "runs", describe_runs(runs));
    return ingot_json_save(record, path, RECORD_MAX, 0644, error);
}
