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
