/* What a reference stands for in its registry. */
#include <ingot/error.h>
#include <ingot/transfer.h>

#include "remote/ours.h"
#include "transfer/platform.h"

#define DEPTH_MAX 4 /* of indexes in indexes */

/* NAME's tags; NULL: an error, which says what the user's name is about. */
static char **list_tags(IngotRemote *remote, const IngotReference *reference, GError **error)
{
    GError *problem = NULL;
    char **tags = ingot_remote_list_tags(remote, reference->name, &problem);
    if (tags == NULL && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s/%s is not in the registry (`ingot ls %s` lists it)",
                    reference->host, reference->name, reference->host);
        g_error_free(problem);
    } else if (tags == NULL) {
        g_propagate_error(error, problem);
    }
    return tags;
}

gboolean ingot_transfer_choose_tag(IngotRemote *remote, IngotReference *reference, GError **error)
{
    if (reference->digest != NULL || reference->tag != NULL) {
        return TRUE;
    }
    g_autofree char *name = ingot_reference_to_text(reference);
    g_auto(GStrv) tags = list_tags(remote, reference, error);
    reference->tag = tags == NULL ? NULL : g_strdup(ingot_tag_choose(name, "", tags, error));
    if (tags == NULL) {
        g_prefix_error(error, "%s: no tag is given, and which ones there are can't be told: ", name);
    }
    return reference->tag != NULL;
}

/* Says more than that there is no such manifest. */
static void explain_missing(IngotRemote *remote, const IngotReference *reference, GError **error)
{
    g_autofree char *name = g_strdup_printf("%s/%s", reference->host, reference->name);
    GError *problem = NULL;
    g_auto(GStrv) tags = list_tags(remote, reference, &problem);
    if (tags != NULL && reference->digest != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s has no manifest %s", name, reference->digest);
    } else if (tags != NULL) {
        ingot_tag_missing(name, "", reference->tag, tags, error);
    } else if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) ||
               g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
    } else {
        g_autofree char *text = ingot_reference_to_text(reference);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s is not in the registry", text);
    }
    g_clear_error(&problem);
}

GBytes *ingot_transfer_manifest(IngotRemote *remote, IngotReference *reference, IngotDescriptor *out, char **media_type,
                                GError **error)
{
    if (!ingot_transfer_choose_tag(remote, reference, error)) {
        return NULL;
    }
    GError *problem = NULL;
    const char *asked = reference->digest != NULL ? reference->digest : reference->tag;
    GBytes *bytes = ingot_remote_get_manifest(remote, reference->name, asked, out, media_type, &problem);
    if (bytes == NULL && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        explain_missing(remote, reference, error);
        g_error_free(problem);
    } else if (bytes == NULL) {
        g_propagate_error(error, problem);
    }
    return bytes;
}

GBytes *ingot_transfer_image_manifest(IngotRemote *remote, IngotReference *reference, IngotDescriptor *out,
                                      GError **error)
{
    g_autoptr(GBytes) bytes = ingot_transfer_manifest(remote, reference, out, NULL, error);
    g_autofree char *what = ingot_reference_to_text(reference);
    for (guint depth = 0; bytes != NULL && depth < DEPTH_MAX; depth++) {
        IngotDigest chosen;
        PlatformResult result = platform_choose(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes),
                                                ingot_remote_architecture(remote), what, &chosen, error);
        if (result != PLATFORM_CHOSEN) {
            return result == PLATFORM_NONE ? NULL : g_steal_pointer(&bytes);
        }
        g_autofree char *digest = ingot_digest_to_text(&chosen);
        g_clear_pointer(&bytes, g_bytes_unref);
        bytes = ingot_remote_get_manifest(remote, reference->name, digest, out, NULL, error);
    }
    if (bytes != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: an index of indexes of indexes", what);
    }
    return NULL;
}
