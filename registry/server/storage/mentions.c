#include "server/storage/mentions.h"

#include <ingot/error.h>
#include <string.h>

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

/* A size that is not a number, or below 0, makes the descriptor malformed. */
static gboolean read_size(const json_t *size, Mention *mention)
{
    json_int_t bytes = json_integer_value(size);
    mention->sized = size != NULL;
    mention->size = (guint64)bytes;
    return size == NULL || (json_is_integer(size) && bytes >= 0);
}

static gboolean add(GArray *mentions, const json_t *descriptor, const char *key, gboolean of_index)
{
    const char *text = json_string_value(json_object_get(descriptor, key));
    const char *type = json_string_value(json_object_get(descriptor, "mediaType"));
    Mention mention = {.manifest = of_index && is_manifest_type(type)};
    mention.open = of_index && !mention.manifest && (type == NULL || g_str_has_suffix(type, "+json"));
    if (text == NULL || !oci_digest_parse(text, &mention.named, NULL) ||
        !read_size(json_object_get(descriptor, "size"), &mention)) {
        return FALSE;
    }
    mention.digest = mention.named.key;
    g_array_append_val(mentions, mention);
    return TRUE;
}

static gboolean add_all(GArray *mentions, const json_t *list, const char *key, gboolean of_index)
{
    if (list != NULL && !json_is_array(list) && !json_is_null(list)) {
        return FALSE;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        gboolean elsewhere = json_array_size(json_object_get(one, "urls")) > 0;
        if (!add(mentions, one, key, of_index)) {
            if (!elsewhere) {
                return FALSE;
            }
        } else {
            g_array_index(mentions, Mention, mentions->len - 1).elsewhere = elsewhere;
        }
    }
    return TRUE;
}

json_t *manifest_parse(const void *data, gsize size, const char *what, GError **error)
{
    gsize room = INGOT_MANIFEST_VALUES;
    return ingot_json_parse_within(data, size, what, &room, error);
}

GArray *mentions_read(const json_t *manifest)
{
    static const struct {
        const char *list, *key;
        gboolean of_index;
    } lists[] = {
        {"layers", "digest", FALSE},
        {"blobs", "digest", FALSE},
        {"manifests", "digest", TRUE},
        {"fsLayers", "blobSum", FALSE},
    };
    g_autoptr(GArray) mentions = g_array_new(FALSE, FALSE, sizeof(Mention));
    const json_t *config = json_object_get(manifest, "config");
    gboolean ok = config == NULL || json_is_null(config) || add(mentions, config, "digest", FALSE);
    for (guint i = 0; ok && i < G_N_ELEMENTS(lists); i++) {
        ok = add_all(mentions, json_object_get(manifest, lists[i].list), lists[i].key, lists[i].of_index);
    }
    return ok ? g_steal_pointer(&mentions) : NULL;
}

OciDigest mention_named(const Mention *mention)
{
    return mention->named.is_sha512 ? mention->named : oci_digest_from_sha256(&mention->digest);
}

char *mention_text(const Mention *mention)
{
    const OciDigest named = mention_named(mention);
    return oci_digest_to_text(&named);
}

const char *manifest_artifact(const json_t *manifest)
{
    const char *type = json_string_value(json_object_get(manifest, "artifactType"));
    return type != NULL && *type != '\0'
               ? type
               : json_string_value(json_object_get(json_object_get(manifest, "config"), "mediaType"));
}
