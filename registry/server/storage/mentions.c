#include "server/storage/mentions.h"

/* Caches of other tools are indexes whose entries are blobs. */
static gboolean is_manifest_type(const char *type)
{
    static const char *const types[] = {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        NULL,
    };
    return type != NULL && g_strv_contains(types, type);
}

static gboolean add(GArray *mentions, const json_t *descriptor, gboolean of_index)
{
    const char *text = json_string_value(json_object_get(descriptor, "digest"));
    const char *type = json_string_value(json_object_get(descriptor, "mediaType"));
    json_int_t size = json_integer_value(json_object_get(descriptor, "size"));
    Mention mention = {.size = size > 0 ? (guint64)size : 0, .manifest = of_index && is_manifest_type(type)};
    if (text == NULL || !ingot_digest_parse(text, &mention.digest, NULL)) {
        return FALSE;
    }
    g_array_append_val(mentions, mention);
    return TRUE;
}

static gboolean add_all(GArray *mentions, const json_t *list, gboolean of_index)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (json_object_get(one, "urls") == NULL && !add(mentions, one, of_index)) {
            return FALSE;
        }
    }
    return TRUE;
}

GArray *mentions_read(const json_t *manifest)
{
    g_autoptr(GArray) mentions = g_array_new(FALSE, FALSE, sizeof(Mention));
    const json_t *config = json_object_get(manifest, "config");
    return (config == NULL || add(mentions, config, FALSE)) &&
                   add_all(mentions, json_object_get(manifest, "layers"), FALSE) &&
                   add_all(mentions, json_object_get(manifest, "manifests"), TRUE)
               ? g_steal_pointer(&mentions)
               : NULL;
}
