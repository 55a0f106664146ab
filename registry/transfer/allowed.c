#include "transfer/allowed.h"

#include <ingot/error.h>

#include "remote/ours.h"
#include "store/standing.h"
#include "transfer/admit.h"

json_t *allowed_words(const IngotRemote *remote)
{
    return json_pack("{s:O*, s:O*}", "said", ingot_remote_said(remote), "base", ingot_remote_said_of_base(remote));
}

void allowed_note(IngotStore *store, const json_t *words, const IngotReference *reference, const IngotDigest *image)
{
    const json_t *said = json_object_get(words, "said"), *base = json_object_get(words, "base");
    const char *named = json_string_value(json_object_get(said, "digest"));
    IngotDigest digest;
    if (image == NULL && (named == NULL || !ingot_digest_parse(named, &digest, NULL))) {
        return;
    }
    const IngotDigest *about = image == NULL ? &digest : image;
    if (ingot_store_has(store, about)) {
        g_autofree char *registry = ingot_reference_local_name(reference);
        standing_keep(store, about, registry, said, base);
    }
}

static void warn_of_base(const json_t *base, const char *text, IngotProgress *progress)
{
    const char *name = json_string_value(json_object_get(base, "name"));
    const char *digest = json_string_value(json_object_get(base, "digest"));
    g_autofree char *told = lifecycle_tell(base);
    ingot_progress_warning(progress, "%s stands on %s%s%s, which is %s", text, name == NULL ? "" : name,
                           name == NULL ? "" : "@", digest == NULL ? "an image" : digest, told);
}

/* Withheld is what the strictest of all names says, whichever name the user asks for: it is one image. */
static gboolean check_standing(const IngotStore *store, const IngotReference *asked, const IngotDigest *image,
                               const IngotPullOptions *options, GError **error)
{
    g_autofree char *text = ingot_reference_to_text(asked);
    g_autoptr(json_t) note = standing_load(store, image);
    const json_t *said = json_object_get(note, "said"), *base = json_object_get(note, "base");
    const char *registry = json_string_value(json_object_get(note, "registry"));
    gboolean allow = options != NULL && options->remote != NULL && options->remote->allow_revoked;
    IngotProgress *progress = options == NULL ? NULL : options->progress;
    g_autofree char *told = lifecycle_tell(said);
    if (lifecycle_withholds(said) && !allow) {
        g_autofree char *digest = ingot_digest_to_text(image);
        g_set_error(
            error, INGOT_ERROR, INGOT_ERROR_REFUSED,
            "%s: %s, as %s said when it was asked last (`ingot pull %s@%s` asks it again; --allow-revoked takes "
            "it all the same)",
            text, told, registry, registry, digest);
        return FALSE;
    }
    if (lifecycle_of(said) != LIFECYCLE_ACTIVE) {
        ingot_progress_warning(progress, "%s: %s, as %s said", text, told, registry);
    }
    if (base != NULL) {
        warn_of_base(base, text, progress);
    }
    return TRUE;
}

gboolean allowed_check(IngotStore *store, const IngotReference *asked, const IngotDigest *image,
                       const IngotPullOptions *options, GError **error)
{
    return check_standing(store, asked, image, options, error) && admit_stored(store, asked, image, options, error);
}

gboolean allowed_stored(IngotStore *store, const IngotReference *reference, const IngotStoreEntry *entry,
                        const IngotPullOptions *options, GError **error)
{
    const IngotDigest *image = &entry->manifest.digest;
    g_autofree char *own = ingot_digest_to_text(image);
    const char *digest = reference->digest != NULL ? reference->digest : entry->tag == NULL ? own : NULL;
    g_autoptr(IngotReference) name = ingot_reference_parse(entry->name, NULL);
    /* A name that another tool gave may be none: the policy's most general words are for it, as of an unknown host. */
    g_autoptr(IngotReference) asked =
        ingot_reference_new(name == NULL ? "" : name->host, name == NULL ? entry->name : name->name,
                            digest == NULL ? entry->tag : NULL, digest);
    return allowed_check(store, asked, image, options, error);
}
