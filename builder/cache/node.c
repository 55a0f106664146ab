#include "cache/node.h"

#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "cache/checksum.h"
#include "cache/place.h"

#define VERSION 1
#define RECORD_MAX (16u << 20) /* bytes */

void node_run_free(gpointer data)
{
    NodeRun *run = data;
    g_free(run->id);
    g_free(run->title);
    json_decref(run->made);
    g_free(run);
}

NodeRun *node_run_copy(const NodeRun *run)
{
    NodeRun *copy = g_memdup2(run, sizeof *run);
    copy->id = g_strdup(run->id);
    copy->title = g_strdup(run->title);
    json_incref(copy->made);
    return copy;
}

Node *node_new(void)
{
    Node *node = g_new0(Node, 1);
    node->runs = g_ptr_array_new_with_free_func(node_run_free);
    node->files = json_object();
    return node;
}

void node_free(Node *node)
{
    if (node != NULL) {
        g_free(node->folder);
        g_free(node->below);
        g_free(node->source);
        g_free(node->recipe);
        g_ptr_array_unref(node->runs);
        g_free(node->fingerprint);
        json_decref(node->files);
        g_free(node);
    }
}

const char *node_name(const Node *node)
{
    return strrchr(node->folder, '/') + 1;
}

const NodeRun *node_find_run(const Node *node, const IngotDigest *key)
{
    for (guint i = 0; node != NULL && i < node->runs->len; i++) {
        const NodeRun *run = g_ptr_array_index(node->runs, i);
        if (ingot_digest_equal(&run->key, key)) {
            return run;
        }
    }
    return NULL;
}

const NodeRun *node_run(const Node *node)
{
    return g_ptr_array_index(node->runs, node->runs->len - 1);
}

char *node_file(const Node *node, const char *name)
{
    return g_build_filename(node->folder, name, NULL);
}

gboolean node_pinned(const Node *node)
{
    g_autofree char *path = node_file(node, NODE_PIN);
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* --- node.json --- */

static NodeRun *parse_run(const json_t *record, const char *path, GError **error)
{
    const char *key = ingot_json_get_string(record, "key", path, error);
    const char *id = key == NULL ? NULL : ingot_json_get_string(record, "id", path, error);
    const char *title = id == NULL ? NULL : ingot_json_get_string(record, "title", path, error);
    IngotDigest digest;
    if (title == NULL || !ingot_digest_parse(key, &digest, error)) {
        return NULL;
    }
    const NodeRun run = {.key = digest,
                         .id = (char *)id,
                         .title = (char *)title,
                         .ran = json_integer_value(json_object_get(record, "ran")),
                         .seconds = json_number_value(json_object_get(record, "seconds")),
                         .made = json_object_get(record, "made")};
    return node_run_copy(&run);
}

static gboolean parse_runs(Node *node, const json_t *record, const char *path, GError **error)
{
    const json_t *runs = ingot_json_get_array(record, "runs", path, error);
    for (size_t i = 0; runs != NULL && i < json_array_size(runs); i++) {
        NodeRun *run = parse_run(json_array_get(runs, i), path, error);
        if (run == NULL) {
            return FALSE;
        }
        g_ptr_array_add(node->runs, run);
    }
    if (runs != NULL && node->runs->len == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: no stage led to it", path);
    }
    return node->runs->len > 0;
}

static gboolean parse(Node *node, const json_t *record, const char *path, GError **error)
{
    json_int_t version = json_integer_value(json_object_get(record, "version"));
    if (version > VERSION) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_TOO_NEW,
                    "%s: version %" JSON_INTEGER_FORMAT " of the format; this ingot knows up to %d", path, version,
                    VERSION);
        return FALSE;
    }
    const char *source = ingot_json_get_string(record, "source", path, error);
    json_t *files = source == NULL ? NULL : ingot_json_get_object(record, "files", path, error);
    if (files == NULL || !parse_runs(node, record, path, error)) {
        return FALSE;
    }
    node->source = g_strdup(source);
    node->recipe = g_strdup(json_string_value(json_object_get(record, "recipe")));
    node->below = g_strdup(json_string_value(json_object_get(record, "below")));
    node->fingerprint = g_strdup(json_string_value(json_object_get(record, "machine")));
    node->clean = json_is_true(json_object_get(record, "clean"));
    node->secret = json_is_true(json_object_get(record, "secret"));
    json_object_update(node->files, files);
    return TRUE;
}

Node *node_parse(const json_t *record, const char *what, GError **error)
{
    g_autoptr(Node) node = node_new();
    return parse(node, record, what, error) ? g_steal_pointer(&node) : NULL;
}

Node *node_read(const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(folder, NODE_RECORD, NULL);
    g_autoptr(GBytes) bytes = ingot_file_read(path, RECORD_MAX, error);
    g_autoptr(json_t) record =
        bytes == NULL ? NULL : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), path, error);
    Node *node = record == NULL ? NULL : node_parse(record, path, error);
    if (node != NULL) {
        g_autofree char *cache = place_cache(folder), *told = node->source;
        node->folder = g_strdup(folder);
        node->source = place_find(cache, told);
    }
    return node;
}

/* NULL: a text of it is not UTF-8. */
static json_t *describe_run(const NodeRun *run)
{
    char key[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&run->key, key);
    json_t *described = json_pack("{s:s, s:s, s:s, s:I, s:f}", "key", key, "id", run->id, "title", run->title, "ran",
                                  (json_int_t)run->ran, "seconds", run->seconds);
    if (described != NULL && json_object_size(run->made) > 0) {
        json_object_set(described, "made", run->made);
    }
    return described;
}

static char *tell_source(const Node *node)
{
    g_autofree char *cache = node->folder == NULL ? NULL : place_cache(node->folder);
    return cache == NULL ? g_strdup(node->source) : place_tell(cache, node->source);
}

json_t *node_describe(const Node *node, GError **error)
{
    g_autoptr(json_t) runs = json_array();
    for (guint i = 0; i < node->runs->len; i++) {
        const NodeRun *run = g_ptr_array_index(node->runs, i);
        if (json_array_append_new(runs, describe_run(run)) != 0) {
            g_autofree char *shown = g_utf8_make_valid(run->title, -1);
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "step '%s': its title is not UTF-8", shown);
            return NULL;
        }
    }
    g_autofree char *source = tell_source(node);
    json_t *record = json_pack("{s:i, s:s, s:O, s:b, s:b, s:O}", "version", VERSION, "source", source, "runs", runs,
                               "clean", node->clean, "secret", node->secret, "files", node->files);
    if (record == NULL) {
        g_autofree char *shown = g_filename_display_name(node->source);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: the path of the source's disk is not UTF-8", shown);
        return NULL;
    }
    ingot_json_set_string(record, "recipe", node->recipe);
    ingot_json_set_string(record, "below", node->below);
    ingot_json_set_string(record, "machine", node->fingerprint);
    return record;
}

gboolean node_publish(Node *node, GError **error)
{
    const char *name;
    json_t *value;
    g_autoptr(json_t) files = json_object();
    json_object_foreach(node->files, name, value)
    {
        g_autofree char *path = node_file(node, name);
        g_autofree char *checksum = checksum_of_file(path, TRUE, error);
        if (checksum == NULL) {
            return FALSE;
        }
        json_object_set_new(files, name, json_string(checksum));
    }
    json_object_update(node->files, files);
    g_autoptr(json_t) record = node_describe(node, error);
    if (record == NULL) {
        return FALSE;
    }
    g_autofree char *path = node_file(node, NODE_RECORD);
    return ingot_json_save(record, path, RECORD_MAX, 0600, error);
}

gboolean node_verify(const Node *node, GError **error)
{
    const char *name;
    json_t *value;
    json_object_foreach(node->files, name, value)
    {
        if (strcmp(name, NODE_MEMORY) == 0) {
            continue;
        }
        g_autofree char *path = node_file(node, name);
        g_autofree char *checksum = checksum_of_file(path, FALSE, error);
        if (checksum == NULL) {
            return FALSE;
        }
        if (g_strcmp0(checksum, json_string_value(value)) != 0) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: its bytes do not match their checksum", path);
            return FALSE;
        }
    }
    return TRUE;
}
