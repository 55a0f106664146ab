#include "transfer/cosign.h"

#include <ingot/error.h>
#include <string.h>

const char *const cosign_endings[] = {".sig", ".att", ".sbom", NULL};

char *cosign_tag(const IngotDigest *image, const char *ending)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(image, text);
    text[strlen("sha256")] = '-';
    return g_strconcat(text, ending, NULL);
}

gboolean cosign_find(IngotRemote *remote, const char *name, const char *tag, char **digest, GError **error)
{
    IngotDescriptor found;
    gboolean told = FALSE;
    GError *problem = NULL;
    *digest = NULL;
    if (ingot_remote_find_tag(remote, name, tag, &found.digest, &told, &problem) && !told) {
        g_autoptr(GBytes) bytes = ingot_remote_get_manifest(remote, name, tag, &found, NULL, &problem);
        told = bytes != NULL;
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_error_free(problem);
        return TRUE;
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    *digest = ingot_digest_to_text(&found.digest);
    return TRUE;
}

gboolean cosign_look(IngotRemote *remote, const char *name, const char *tag, char **digest, GError **error)
{
    g_autoptr(GError) problem = NULL;
    if (cosign_find(remote, name, tag, digest, &problem) || g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_DENIED)) {
        return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
}

static gboolean cosign_has_layer(const json_t *manifest, const json_t *layer)
{
    const json_t *layers = json_object_get(manifest, "layers");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        if (json_equal(json_array_get(layers, i), layer)) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Signatures by several keys are of one payload: a layer's annotations tell them apart. */
gboolean cosign_holds(const json_t *one, const json_t *other)
{
    const json_t *layers = json_object_get(other, "layers");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        if (!cosign_has_layer(one, json_array_get(layers, i))) {
            return FALSE;
        }
    }
    return json_array_size(layers) > 0;
}
