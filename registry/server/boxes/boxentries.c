#include "server/boxes/boxentries.h"

#include <ingot/manifest.h>
#include <string.h>

#include "base/json.h"
#include "server/storage/mentions.h"

/* An entry says what it is, or says nothing, as other tools leave it. */
static gboolean is_image(const json_t *entry)
{
    const char *type = json_string_value(json_object_get(entry, "artifactType"));
    return type == NULL || strcmp(type, INGOT_TYPE_IMAGE) == 0;
}

GArray *box_entries(Storage *storage, const char *name, const IngotDigest *manifest)
{
    GArray *images = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, manifest, &type, NULL);
    g_autoptr(json_t) root =
        bytes == NULL ? NULL : manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    const json_t *entries = json_object_get(root, "manifests");
    if (!json_is_array(entries)) {
        g_array_append_val(images, *manifest);
        return images;
    }
    for (size_t i = 0; i < MIN(json_array_size(entries), BOX_ENTRIES_MAX); i++) {
        const json_t *entry = json_array_get(entries, i);
        const char *text = json_string_value(json_object_get(entry, "digest"));
        IngotDigest digest;
        if (is_image(entry) && text != NULL && storage_digest(storage, text, &digest, NULL) &&
            storage_has_manifest(storage, name, &digest)) {
            g_array_append_val(images, digest);
        }
    }
    return images;
}
