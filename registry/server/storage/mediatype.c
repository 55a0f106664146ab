#include "server/storage/mediatype.h"

#include <ingot/error.h>
#include <string.h>

#define DOCKER_FIRST "application/vnd.docker.distribution.manifest.v1"
#define MEDIA_TYPE_MAX 255 /* characters: two names of RFC 6838, section 4.2, and the slash */

/* Docker's first kind is refused, as its digests are not those of its bytes. */
static gboolean mediatype_check(const char *type, GError **error)
{
    static const char start[] = "application/", end[] = "+json", others[] = "!#$&-^_.+";
    gsize length = strlen(type);
    gboolean ok = length > strlen(start) + strlen(end) && length <= MEDIA_TYPE_MAX &&
                  g_ascii_strncasecmp(type, start, strlen(start)) == 0 &&
                  g_ascii_strcasecmp(type + length - strlen(end), end) == 0;
    for (const char *at = type + strlen(start); ok && *at != '\0'; at++) {
        ok = g_ascii_isalnum(*at) || strchr(others, *at) != NULL;
    }
    if (!ok) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%.255s is not the media type of a manifest: application/…+json is expected", type);
        return FALSE;
    }
    if (g_ascii_strncasecmp(type, DOCKER_FIRST, strlen(DOCKER_FIRST)) == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "manifests of Docker's schema 1 are not taken: push with schema 2 or as an OCI image");
        return FALSE;
    }
    return TRUE;
}

static char *without_parameters(const char *type)
{
    return g_strstrip(g_strndup(type, strcspn(type, ";")));
}

static const char *own_type(const json_t *manifest)
{
    return json_string_value(json_object_get(manifest, "mediaType"));
}

char *mediatype_of_push(const char *given, const json_t *manifest, GError **error)
{
    const char *own = own_type(manifest);
    g_autofree char *type = without_parameters(given != NULL ? given : own != NULL ? own : "");
    if (!mediatype_check(type, error)) {
        return NULL;
    }
    if (own != NULL && g_ascii_strcasecmp(own, type) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "the Content-Type is %s, the manifest's mediaType is %.255s", type, own);
        return NULL;
    }
    return g_steal_pointer(&type);
}

char *mediatype_of_copy(const char *given, const json_t *manifest, GError **error)
{
    const char *own = own_type(manifest);
    g_autofree char *type = without_parameters(own != NULL ? own : given != NULL ? given : "");
    return mediatype_check(type, error) ? g_steal_pointer(&type) : NULL;
}
