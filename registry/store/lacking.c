#include "store/lacking.h"

#include <string.h>
#include <unistd.h>

#include "base/json.h"

#define NOTE_MAX (1u << 20) /* bytes */
#define NOTE_VALUES (1u << 14)

static char *lacking_path(const IngotStore *store, const IngotDigest *image)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(image, text);
    return g_build_filename(store->path, LACKING_FOLDER, text + strlen("sha256:"), NULL);
}

void lacking_keep(const IngotStore *store, const IngotDigest *image, const json_t *list)
{
    g_autofree char *path = lacking_path(store, image), *folder = layout_path(store, LACKING_FOLDER);
    if (json_array_size(list) == 0) {
        unlink(path);
    } else if (ingot_file_make_folder(folder, NULL)) {
        ingot_json_save(list, path, NOTE_MAX, 0644, NULL);
    }
}

json_t *lacking_load(const IngotStore *store, const IngotDigest *image)
{
    g_autofree char *path = lacking_path(store, image);
    g_autoptr(GBytes) bytes = ingot_file_read_regular(path, NOTE_MAX, NULL);
    gsize room = NOTE_VALUES;
    g_autoptr(json_t) list = bytes == NULL ? NULL
                                           : ingot_json_parse_within(g_bytes_get_data(bytes, NULL),
                                                                     g_bytes_get_size(bytes), path, &room, NULL);
    return json_is_array(list) ? g_steal_pointer(&list) : json_array();
}

void lacking_drop(const IngotStore *store, const IngotDigest *image)
{
    g_autofree char *path = lacking_path(store, image);
    unlink(path);
}
