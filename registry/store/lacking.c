#include "store/lacking.h"

#include <string.h>
#include <unistd.h>

#include "base/json.h"

#define NOTE_MAX (1u << 20) /* bytes */
#define NOTE_VALUES (1u << 14)
#define LAYERS_MOST 256u

static char *lacking_path(const IngotStore *store, const IngotDigest *image)
{
    return layout_note_path(store, LACKING_FOLDER, image);
}

static json_t *note_load(const IngotStore *store, const IngotDigest *image)
{
    g_autofree char *path = lacking_path(store, image);
    g_autoptr(GBytes) bytes = ingot_file_read_regular(path, NOTE_MAX, NULL);
    g_autoptr(json_t) list = ingot_json_parse_bytes(bytes, path, NOTE_VALUES, NULL);
    return json_is_array(list) ? g_steal_pointer(&list) : json_array();
}

static json_t *note_part(const IngotStore *store, const IngotDigest *image, gboolean layers)
{
    json_t *list = note_load(store, image);
    for (size_t i = json_array_size(list); i-- > 0;) {
        if (json_is_true(json_object_get(json_array_get(list, i), "layer")) != layers) {
            json_array_remove(list, i);
        }
    }
    return list;
}

static void note_save(const IngotStore *store, const IngotDigest *image, const json_t *list)
{
    g_autofree char *path = lacking_path(store, image), *folder = layout_path(store, LACKING_FOLDER);
    if (json_array_size(list) == 0) {
        unlink(path);
    } else if (ingot_file_make_folder(folder, NULL)) {
        ingot_json_save(list, path, NOTE_MAX, 0644, NULL);
    }
}

void lacking_keep(const IngotStore *store, const IngotDigest *image, const json_t *list)
{
    g_autoptr(json_t) all = note_part(store, image, TRUE);
    json_array_extend(all, (json_t *)list);
    note_save(store, image, all);
}

json_t *lacking_load(const IngotStore *store, const IngotDigest *image)
{
    return note_part(store, image, FALSE);
}

static gboolean is_there(IngotStore *store, const char *digest)
{
    IngotDigest parsed;
    return digest != NULL && ingot_digest_parse(digest, &parsed, NULL) && ingot_store_has(store, &parsed);
}

json_t *lacking_load_layers(IngotStore *store, const IngotDigest *image)
{
    json_t *list = note_part(store, image, TRUE);
    for (size_t i = json_array_size(list); i-- > 0;) {
        if (is_there(store, json_string_value(json_object_get(json_array_get(list, i), "digest")))) {
            json_array_remove(list, i);
        }
    }
    return list;
}

void lacking_keep_layers(IngotStore *store, const IngotDigest *image, const json_t *manifest, guint disks)
{
    const json_t *layers = json_object_get(manifest, "layers");
    g_autoptr(json_t) list = note_part(store, image, FALSE);
    for (size_t i = 2 * (size_t)disks; i < json_array_size(layers) && i < LAYERS_MOST; i++) {
        const char *text = json_string_value(json_object_get(json_array_get(layers, i), "digest"));
        IngotDigest digest;
        if (text != NULL && ingot_digest_parse(text, &digest, NULL) && !ingot_store_has(store, &digest)) {
            json_array_append_new(list, ingot_json_pack("{s:s, s:s, s:b}", "digest", text, "problem",
                                                        "a layer after the disk is not fetched", "layer", TRUE));
        }
    }
    note_save(store, image, list);
}

gboolean lacking_is_layer(const json_t *layers, const char *digest)
{
    for (size_t i = 0; i < json_array_size(layers); i++) {
        if (g_strcmp0(json_string_value(json_object_get(json_array_get(layers, i), "digest")), digest) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

void lacking_drop(const IngotStore *store, const IngotDigest *image)
{
    g_autofree char *path = lacking_path(store, image);
    unlink(path);
}
