#include "trust/simplesigning.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "trust/base64.h"

#define SIGNATURE_MOST 4096u /* bytes */
#define VALUES_MOST 1024u    /* of JSON */
#define PAYLOAD_KIND "cosign container image signature"

static gboolean simple_refuse(GError **error, int code, const char *why)
{
    g_set_error_literal(error, INGOT_ERROR, code, why);
    return FALSE;
}

static gboolean simple_read(GBytes *payload, const IngotDigest *image, TrustResult *result, GError **error)
{
    g_autoptr(json_t) root = ingot_json_parse_bytes(payload, "the signed payload", VALUES_MOST, NULL);
    const json_t *critical = json_object_get(root, "critical");
    const char *kind = json_string_value(json_object_get(critical, "type"));
    const char *digest =
        json_string_value(json_object_get(json_object_get(critical, "image"), "docker-manifest-digest"));
    char own[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(image, own);
    if (g_strcmp0(kind, PAYLOAD_KIND) != 0 || digest == NULL) {
        return simple_refuse(error, INGOT_ERROR_CORRUPT, "its payload is not one of cosign's");
    }
    if (strcmp(digest, own) != 0) {
        return simple_refuse(error, INGOT_ERROR_DENIED, "it is about another image");
    }
    result->name =
        g_strdup(json_string_value(json_object_get(json_object_get(critical, "identity"), "docker-reference")));
    return TRUE;
}

gboolean simple_verify(GBytes *payload, const char *signature, TrustKey *const *keys, guint count,
                       const IngotDigest *image, TrustResult *result, GError **error)
{
    g_autoptr(GBytes) bytes = base64_read(signature, SIGNATURE_MOST);
    IngotDigest digest;
    memset(result, 0, sizeof *result);
    if (bytes == NULL || g_bytes_get_size(payload) > SIMPLE_PAYLOAD_MAX) {
        return simple_refuse(error, INGOT_ERROR_CORRUPT, "its signature is not base64, or its payload is too long");
    }
    ingot_digest_of(g_bytes_get_data(payload, NULL), g_bytes_get_size(payload), &digest);
    while (result->key < count &&
           !trust_key_verify(keys[result->key], &digest, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes))) {
        result->key++;
    }
    if (result->key == count) {
        result->key = 0;
        return simple_refuse(error, INGOT_ERROR_DENIED,
                             "it is not signed by a key that was given, or was changed since");
    }
    return simple_read(payload, image, result, error);
}
