#include "server/mirror/wholes.h"

#include <ingot/error.h>
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

static json_t *read_manifest(Storage *storage, const char *name, const IngotDigest *digest, GBytes **bytes)
{
    g_autofree char *type = NULL;
    *bytes = storage_manifest(storage, name, digest, &type, NULL);
    return *bytes == NULL ? NULL : manifest_parse(g_bytes_get_data(*bytes, NULL), g_bytes_get_size(*bytes), name, NULL);
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
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(json_t) root = read_manifest(storage, name, &digest, &bytes);
    g_autoptr(GArray) mentions = root == NULL ? NULL : mentions_read(root);
    if (bytes == NULL || mentions == NULL) {
        return bytes == NULL ? outcome : FETCH_DONE;
    }
    return through_needs(through, name, mentions, FALSE);
}

/* --- what describes an image --- */

#define IMAGES_MAX 256u /* of an index; what stands behind them is not looked at */

/* The config and the indexes of its disks. What is no image of Ingot's is ABSENT. */
static FetchOutcome describe_image(Through *through, const char *name, GBytes *bytes)
{
    g_autoptr(IngotManifest) manifest =
        ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    if (manifest == NULL) {
        return FETCH_ABSENT;
    }
    const OciDigest config = oci_digest_from_sha256(&manifest->config.digest);
    FetchOutcome outcome = through_blob(through, name, &config);
    for (guint i = 0; outcome == FETCH_DONE && i < manifest->disks->len; i++) {
        const OciDigest index = oci_digest_from_sha256(&ingot_manifest_disk(manifest, i)->index.digest);
        outcome = through_blob(through, name, &index);
    }
    return outcome;
}

static FetchOutcome describe_entry(Through *through, Storage *storage, const char *name, const Mention *entry)
{
    const OciDigest named = mention_named(entry);
    g_autofree char *text = oci_digest_to_text(&named);
    IngotDigest digest;
    g_autoptr(GBytes) bytes = NULL;
    FetchOutcome outcome = find_digest(storage, name, text, &digest) && storage_has_manifest(storage, name, &digest)
                               ? FETCH_DONE
                               : through_manifest(through, name, text);
    if (outcome != FETCH_DONE || !find_digest(storage, name, text, &digest)) {
        return outcome;
    }
    g_autoptr(json_t) root = read_manifest(storage, name, &digest, &bytes);
    return root == NULL ? FETCH_ABSENT : describe_image(through, name, bytes);
}

/* Of an index, what describes all of its images; those that are of other kinds, or are not there, don't count. */
static FetchOutcome describe_entries(Through *through, Storage *storage, const char *name, const GArray *entries)
{
    FetchOutcome all = FETCH_ABSENT;
    for (guint i = 0, images = 0; i < entries->len && images < IMAGES_MAX && !through_is_open(all); i++) {
        const Mention *entry = &g_array_index(entries, Mention, i);
        if (entry->manifest) {
            FetchOutcome one = describe_entry(through, storage, name, entry);
            all = one == FETCH_ABSENT ? all : one;
            images++;
        }
    }
    return all;
}

FetchOutcome through_description(Through *through, Storage *storage, const char *name, const char *version)
{
    IngotDigest digest;
    if (through == NULL) {
        return FETCH_DONE;
    }
    /* A version that is here is what it was, or has grown since: whoever pulls by it brings that. */
    FetchOutcome outcome = find_digest(storage, name, version, &digest) && storage_has_manifest(storage, name, &digest)
                               ? FETCH_DONE
                               : through_manifest(through, name, version);
    if (outcome != FETCH_DONE || !find_digest(storage, name, version, &digest)) {
        return outcome;
    }
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(json_t) root = read_manifest(storage, name, &digest, &bytes);
    if (json_object_get(root, "manifests") == NULL) {
        return root == NULL ? FETCH_ABSENT : describe_image(through, name, bytes);
    }
    g_autoptr(GArray) entries = mentions_read(root);
    return entries == NULL ? FETCH_ABSENT : describe_entries(through, storage, name, entries);
}

/* --- what is attached --- */

#define AT_ONCE 32u /* blobs that are asked for */

/* Adds the first layer of an attachment, which is what that says; whoever reads one without any tells so. */
static gboolean contents_add(GArray *all, Storage *storage, const char *name, const IngotDigest *digest, GError **error)
{
    OciDigest named;
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, digest, &type, error);
    g_autoptr(json_t) root =
        bytes == NULL ? NULL : manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    const json_t *layer = json_array_get(json_object_get(root, "layers"), 0);
    const char *text = json_string_value(json_object_get(layer, "digest"));
    if (text != NULL && oci_digest_parse(text, &named, NULL)) {
        const Mention mention = {.digest = named.key, .named = named};
        g_array_append_val(all, mention);
    }
    return bytes != NULL;
}

static gboolean contents_fetch(Through *through, const char *name, const GArray *all, GError **error)
{
    for (guint at = 0; at < all->len; at += AT_ONCE) {
        g_autoptr(GArray) some = g_array_new(FALSE, FALSE, sizeof(Mention));
        g_array_append_vals(some, &g_array_index(all, Mention, at), MIN(AT_ONCE, all->len - at));
        FetchOutcome outcome = through_needs(through, name, some, TRUE);
        if (through_is_open(outcome)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "what is attached to it is not all here: %s",
                        through_reason(outcome));
            return FALSE;
        }
    }
    return TRUE;
}

gboolean through_contents(Through *through, Storage *storage, const char *name, const IngotDigest *image,
                          const char *kind, guint most, guint64 bytes, GError **error)
{
    guint64 read = 0;
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(Mention));
    g_autoptr(GArray) referrers = storage_referrers(storage, name, image, kind, NULL, most, error);
    gboolean ok = referrers != NULL;
    for (guint i = 0; ok && i < referrers->len && read <= bytes; i++) {
        const StorageReferrer *one = &g_array_index(referrers, StorageReferrer, i);
        read += one->size;
        ok = contents_add(all, storage, name, &one->digest, error);
    }
    return ok && contents_fetch(through, name, all, error);
}
