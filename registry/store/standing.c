#include "store/standing.h"

#include <string.h>
#include <unistd.h>

#define NOTE_MAX (32u << 10) /* bytes */
#define NOTE_VALUES 64u

/* A word as it is noted, without what does not belong into one; NULL: it is none. */
static json_t *word_of(const json_t *note, const char *key)
{
    const json_t *word = json_object_get(note, key);
    g_autofree char *text = json_is_object(word) ? lifecycle_write(word) : NULL;
    return text == NULL ? NULL : lifecycle_read(text);
}

json_t *standing_load(const IngotStore *store, const IngotDigest *image)
{
    g_autofree char *path = layout_note_path(store, STANDING_FOLDER, image);
    g_autoptr(GBytes) bytes = ingot_file_read_regular(path, NOTE_MAX, NULL);
    g_autoptr(json_t) note = ingot_json_parse_bytes(bytes, path, NOTE_VALUES, NULL);
    const char *registry = json_string_value(json_object_get(note, "registry"));
    return registry == NULL ? NULL
                            : json_pack("{s:s, s:o*, s:o*}", "registry", registry, "said", word_of(note, "said"),
                                        "base", word_of(note, "base"));
}

void standing_keep(const IngotStore *store, const IngotDigest *image, const char *registry, const json_t *said,
                   const json_t *base)
{
    g_autofree char *path = layout_note_path(store, STANDING_FOLDER, image);
    g_autofree char *folder = layout_path(store, STANDING_FOLDER);
    if (said != NULL || base != NULL) {
        g_autoptr(json_t) note = json_pack("{s:s, s:O*, s:O*}", "registry", registry, "said", said, "base", base);
        if (note != NULL && ingot_file_make_folder(folder, NULL)) {
            ingot_json_save(note, path, NOTE_MAX, 0644, NULL);
        }
        return;
    }
    g_autoptr(json_t) before = standing_load(store, image);
    if (g_strcmp0(json_string_value(json_object_get(before, "registry")), registry) == 0) {
        unlink(path);
    }
}

void standing_drop(const IngotStore *store, const IngotDigest *image)
{
    g_autofree char *path = layout_note_path(store, STANDING_FOLDER, image);
    unlink(path);
}
