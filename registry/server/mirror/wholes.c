#include "server/mirror/wholes.h"

#include <ingot/manifest.h>
#include <ingot/reference.h>
#include <string.h>

#include "base/json.h"
#include "server/storage/mentions.h"

static gboolean find_digest(Storage *storage, const char *name, const char *reference, IngotDigest *digest)
{
    return strchr(reference, ':') != NULL
               ? storage_digest(storage, reference, digest, NULL)
               : ingot_tag_check(reference, NULL) && storage_find_tag(storage, name, reference, digest, NULL);
}

FetchOutcome through_image(Through *through, Storage *storage, const char *name, const char *reference, char **exact)
{
    IngotDigest digest;
    FetchOutcome outcome = through_manifest(through, name, reference);
    *exact = NULL;
    if (through == NULL || !find_digest(storage, name, reference, &digest)) {
        return outcome;
    }
    *exact = ingot_digest_to_text(&digest);
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, &digest, &type, NULL);
    g_autoptr(json_t) root =
        bytes == NULL ? NULL : manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    g_autoptr(GArray) mentions = root == NULL ? NULL : mentions_read(root);
    if (bytes == NULL || mentions == NULL) {
        return bytes == NULL ? outcome : FETCH_DONE;
    }
    return through_needs(through, name, mentions, FALSE);
}

FetchOutcome through_description(Through *through, Storage *storage, const char *name, const char *version)
{
    IngotDigest digest;
    if (through == NULL) {
        return FETCH_DONE;
    }
    /* A version that is here is what it was. */
    FetchOutcome outcome = find_digest(storage, name, version, &digest) && storage_has_manifest(storage, name, &digest)
                               ? FETCH_DONE
                               : through_manifest(through, name, version);
    if (outcome != FETCH_DONE || !find_digest(storage, name, version, &digest)) {
        return outcome;
    }
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, &digest, &type, NULL);
    g_autoptr(IngotManifest) manifest =
        bytes == NULL ? NULL : ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    if (manifest == NULL) {
        return FETCH_ABSENT;
    }
    const OciDigest config = oci_digest_from_sha256(&manifest->config.digest);
    const OciDigest index = oci_digest_from_sha256(&manifest->index.digest);
    outcome = through_blob(through, name, &config);
    return outcome == FETCH_DONE ? through_blob(through, name, &index) : outcome;
}
