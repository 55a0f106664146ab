#include "server/mirror/copy.h"

#include <ingot/error.h>
#include <string.h>

#include "remote/ours.h"
#include "remote/relay.h"
#include "server/channel/announce.h"
#include "server/mirror/told.h"
#include "server/storage/bases.h"
#include "server/storage/channels.h"
#include "server/storage/mediatype.h"
#include "server/storage/mentions.h"
#include "server/storage/pulls.h"
#include "server/storage/several.h"

#define DEEP 8 /* indexes within indexes, attachments of attachments */

const StorageActor copy_actor = {.name = "mirror"};

const char *copy_there(const Copy *copy, const char *name)
{
    return name + copy->skip;
}

void copy_call(const Copy *copy, const OciDigest *named)
{
    g_autofree char *text = named->is_sha512 ? oci_digest_to_text(named) : NULL;
    if (text != NULL) {
        ingot_remote_call(copy->remote, &named->key, text);
    }
}

static gboolean copy_deep(Copy *copy, const char *name, const char *reference, const char *tag, gboolean partial,
                          guint depth, gboolean *changed, GError **error);

/* What the other registry says of the manifest that it was asked for last counts here too, and no longer than there:
 * before the manifest can be had here. */
static gboolean copy_said(Copy *copy, const char *name, const IngotDigest *digest, GError **error)
{
    return state_hear(copy->storage, &copy_actor, name, digest, ingot_remote_said(copy->remote), error);
}

/* An entry of an index whose type tells nothing: where the other registry has a manifest of that digest, it is one. */
static gboolean copy_open(Copy *copy, const char *name, const Mention *mention, const OciDigest *named, guint depth,
                          GError **error)
{
    gboolean changed;
    g_autoptr(GError) problem = NULL;
    g_autofree char *text = mention_text(mention);
    if (copy_deep(copy, name, text, NULL, FALSE, depth + 1, &changed, &problem)) {
        return TRUE;
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        return copy_blob(copy, name, named, mention->size, error);
    }
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
}

static gboolean copy_mentions(Copy *copy, const char *name, const GArray *mentions, guint depth, GError **error)
{
    for (guint i = 0; i < mentions->len; i++) {
        const Mention *mention = &g_array_index(mentions, Mention, i);
        const OciDigest named = mention_named(mention);
        g_autofree char *text = mention_text(mention);
        gboolean changed;
        GError *problem = NULL;
        if (mention->manifest ? copy_deep(copy, name, text, NULL, FALSE, depth + 1, &changed, &problem)
            : mention->open   ? copy_open(copy, name, mention, &named, depth, &problem)
                              : copy_blob(copy, name, &named, mention->size, &problem)) {
            continue;
        }
        gboolean absent = g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND);
        if (!mention->elsewhere || !absent) {
            /* That a part is not there does not say that its manifest is not. */
            problem->code = absent ? INGOT_ERROR_FAILED : problem->code;
            g_propagate_error(error, problem);
            return FALSE;
        }
        g_clear_error(&problem);
    }
    return TRUE;
}

/* What has come of an attachment. */
typedef enum {
    ATTACHMENT_HERE,
    ATTACHMENT_OPEN,   /* another try may bring it */
    ATTACHMENT_DENIED, /* the other registry refuses it */
    ATTACHMENT_LOST    /* no further try brings it: the other registry lacks it, or has something else by its digest */
} Attachment;

/* What we lack ourselves (room, a quota) says nothing of what the other registry has. */
static Attachment attachment_of(const Copy *copy, const GError *problem)
{
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) ||
        g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INVALID)) {
        return ATTACHMENT_LOST;
    }
    if (copy->given) {
        return ATTACHMENT_OPEN;
    }
    return g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT) ||
                   g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_LIMIT)
               ? ATTACHMENT_LOST
           : g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_DENIED) ? ATTACHMENT_DENIED
                                                                       : ATTACHMENT_OPEN;
}

/* One that can't be had (deleted, too large, wrong) is told and left where it is: it is no part of the image. FALSE: a
 * signal came. */
static gboolean copy_attachment(Copy *copy, const char *name, const char *digest, gboolean partial, guint depth,
                                Attachment *attachment, GError **error)
{
    gboolean changed;
    g_autoptr(GError) problem = NULL;
    *attachment = ATTACHMENT_HERE;
    if (copy_deep(copy, name, digest, NULL, partial, depth + 1, &changed, &problem)) {
        return TRUE;
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    *attachment = attachment_of(copy, problem);
    copy->left++;
    copy->lost += *attachment == ATTACHMENT_LOST;
    if (copy->tell != NULL) {
        g_autofree char *line = g_strdup_printf("left: %s@%s: %s", name, digest, problem->message);
        copy->tell(line, copy->user);
    }
    return TRUE;
}

/* What is attached may name it by another algorithm than we do. */
static gboolean know_subject(Copy *copy, const char *name, const OciDigest *subject, GError **error)
{
    IngotDigest digest;
    return storage_resolve(copy->storage, subject, &digest, error) &&
           storage_find_alias(copy->storage, &copy_actor, name, &digest, error);
}

/* The digests that a list of attachments names. */
static json_t *read_digests(const json_t *list)
{
    json_t *digests = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *digest = json_object_get(json_array_get(list, i), "digest");
        if (json_is_string(digest) && oci_digest_parse(json_string_value(digest), &(OciDigest){0}, NULL)) {
            json_array_append(digests, digest);
        }
    }
    return digests;
}

/* Those that are lost leave the list: it is as long as it will ever be here. Those that are refused are lost too where
 * others of the list are here; else it may be that we were refused altogether. */
static gboolean copy_attachments(Copy *copy, const char *name, json_t *digests, gboolean partial, guint depth,
                                 GError **error)
{
    gboolean here = FALSE;
    g_autoptr(json_t) stay = json_array(), denied = json_array();
    for (size_t i = 0; i < json_array_size(digests); i++) {
        json_t *digest = json_array_get(digests, i);
        Attachment attachment;
        if (!copy_attachment(copy, name, json_string_value(digest), partial, depth, &attachment, error)) {
            return FALSE;
        }
        here |= attachment == ATTACHMENT_HERE;
        if (attachment != ATTACHMENT_LOST) {
            json_array_append(attachment == ATTACHMENT_DENIED ? denied : stay, digest);
        }
    }
    if (here) {
        copy->lost += json_array_size(denied);
    } else {
        json_array_extend(stay, denied);
    }
    json_array_clear(digests);
    json_array_extend(digests, stay);
    return TRUE;
}

static gboolean copy_attached(Copy *copy, const char *name, const OciDigest *subject, gboolean partial, guint depth,
                              GError **error)
{
    if (depth == DEEP) {
        return TRUE;
    }
    copy_call(copy, subject);
    g_autoptr(json_t) list = ingot_remote_referrers(copy->remote, copy_there(copy, name), &subject->key, error);
    if (list == NULL) {
        return FALSE;
    }
    g_autoptr(json_t) digests = read_digests(list);
    told_note(copy->storage, name, subject, digests);
    if (!copy_attachments(copy, name, digests, partial, depth, error) ||
        (json_array_size(list) > 0 && !know_subject(copy, name, subject, error))) {
        return FALSE;
    }
    told_note(copy->storage, name, subject, digests);
    return TRUE;
}

/* Whether the repository's tag, or what the other registry calls the manifest, names it here already. */
static gboolean is_here(Copy *copy, const char *name, const char *tag, const OciDigest *named,
                        const IngotDigest *digest)
{
    IngotDigest found;
    return (!named->is_sha512 ||
            (storage_resolve(copy->storage, named, &found, NULL) && ingot_digest_equal(&found, digest))) &&
           storage_has_manifest(copy->storage, name, digest) &&
           (tag == NULL ||
            (storage_find_tag(copy->storage, name, tag, &found, NULL) && ingot_digest_equal(&found, digest)));
}

/* Whether the manifest is here, and (unless it may be partial) all that it needs, and none of it is damaged. */
static gboolean has_all(const Copy *copy, const char *name, const IngotDigest *digest, gboolean partial, guint depth)
{
    g_autofree char *type = NULL;
    if (depth > DEEP || !storage_has_manifest(copy->storage, name, digest) ||
        !storage_is_whole(copy->storage, name, digest)) {
        return FALSE;
    }
    g_autoptr(GBytes) bytes = partial ? NULL : storage_manifest(copy->storage, name, digest, &type, NULL);
    g_autoptr(json_t) root =
        bytes == NULL ? NULL : manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    g_autoptr(GArray) mentions = root == NULL ? NULL : mentions_read(root);
    gboolean all = partial || (mentions != NULL && storage_resolve_mentions(copy->storage, mentions, NULL));
    for (guint i = 0; all && mentions != NULL && i < mentions->len; i++) {
        const Mention *mention = &g_array_index(mentions, Mention, i);
        gboolean is_manifest =
            mention->manifest || (mention->open && storage_has_manifest(copy->storage, name, &mention->digest));
        all = is_manifest ? has_all(copy, name, &mention->digest, FALSE, depth + 1)
                          : storage_is_whole(copy->storage, name, &mention->digest);
    }
    return all;
}

/* Whether there is nothing to be copied. What a cache has taken is kept for as long as it is pulled; what is mirrored
 * stays, so it is put anew. */
static gboolean is_copied(Copy *copy, const char *name, const char *tag, const OciDigest *named,
                          const IngotDigest *digest, gboolean partial)
{
    return is_here(copy, name, tag, named, digest) &&
           (partial || tag == NULL || storage_is_pushed(copy->storage, name, tag)) &&
           has_all(copy, name, digest, partial, 0);
}

/* --- the tag --- */

/* What becomes of the tag that is to name a manifest here. */
typedef struct {
    const char *tag; /* NULL: none is to */
    const char *set; /* NULL: it stays as it is */
    char *why;       /* why it stays, and names something else; NULL: it does not */
} Naming;

static void naming_clear(Naming *naming)
{
    g_clear_pointer(&naming->why, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Naming, naming_clear)

/* What the manifest has as an index; none where it is no index, or can't be read, and is refused later. */
static GArray *several_of(const Copy *copy, const char *name, GBytes *bytes)
{
    g_autoptr(json_t) root = manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    g_autoptr(GArray) mentions = root == NULL ? NULL : mentions_read(root);
    return mentions != NULL && storage_resolve_mentions(copy->storage, mentions, NULL)
               ? several_of_mentions(mentions)
               : g_array_new(FALSE, FALSE, sizeof(IngotDigest));
}

/* What an upstream's channel names that no pipeline of here guards is answered, or withheld, as it is there: a cache is
 * never older. bytes: the manifest's; NULL: they have not come. */
static gboolean is_withheld(const Copy *copy, const char *name, const char *tag, const IngotDigest *digest,
                            GBytes *bytes, gboolean partial, char **why, GError **error)
{
    GError *problem = NULL;
    g_autofree char *type = NULL;
    g_autoptr(GBytes) here = bytes == NULL ? storage_manifest(copy->storage, name, digest, &type, NULL) : NULL;
    GBytes *known = bytes == NULL ? here : bytes;
    g_autoptr(GArray) several =
        known == NULL ? g_array_new(FALSE, FALSE, sizeof(IngotDigest)) : several_of(copy, name, known);
    gboolean withheld = !partial && storage_is_channel(copy->storage, name, tag) &&
                        state_keeps_from_channels(copy->storage, name, digest, several, why, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return withheld;
}

/* Once it is known which manifest it would name. bytes: as above. */
static gboolean naming_settle(Naming *naming, const Copy *copy, const char *name, const IngotDigest *digest,
                              GBytes *bytes, gboolean partial, GError **error)
{
    IngotDigest here;
    GError *problem = NULL;
    naming_clear(naming);
    naming->set = naming->tag;
    if (naming->tag == NULL) {
        return TRUE;
    }
    if (storage_is_guarded(copy->storage, name, naming->tag)) {
        naming->why = g_strdup("a pipeline guards it here, and only a promotion moves it");
    } else if (!is_withheld(copy, name, naming->tag, digest, bytes, partial, &naming->why, &problem)) {
        if (problem != NULL) {
            g_propagate_error(error, problem);
        }
        return problem == NULL;
    }
    naming->set = NULL;
    if (storage_find_tag(copy->storage, name, naming->tag, &here, NULL) && ingot_digest_equal(&here, digest)) {
        naming_clear(naming);
    }
    return TRUE;
}

/* Of each image once, however often it is mirrored: as long as the other registry's channel names it, it is used, so
 * that it does not go here for want of a name. */
static void naming_tell(const Naming *naming, Copy *copy, const char *name, const IngotDigest *digest)
{
    if (naming->why == NULL) {
        return;
    }
    copy->kept++;
    pulls_note(copy->storage, name, digest);
    g_autofree char *what = g_strdup_printf("kept from %s:%s", name, naming->tag);
    g_autoptr(GBytes) before = storage_measure(copy->storage, digest, what);
    if (copy->tell == NULL || before != NULL) {
        return;
    }
    g_autofree char *text = ingot_digest_to_text(digest);
    g_autofree char *line =
        g_strdup_printf("kept: %s:%s stays (there it is %s): %s", name, naming->tag, text, naming->why);
    g_autoptr(GBytes) told = g_bytes_new(line, strlen(line));
    copy->tell(line, copy->user);
    storage_keep_measure(copy->storage, digest, what, told);
}

/* --- one manifest --- */

/* Whether what is named here is what is named there, and whole: then the manifest's bytes need not come, which some
 * registries count. A digest names the same everywhere; of a tag the other registry says what it names, or the bytes
 * come. */
static gboolean is_current(Copy *copy, const char *name, const char *reference, Naming *naming, gboolean partial,
                           IngotDigest *digest, gboolean *current, GError **error)
{
    const char *tag = naming->tag;
    IngotDigest here;
    OciDigest exact;
    gboolean told = FALSE;
    g_autoptr(GError) problem = NULL;
    *current = FALSE;
    if (tag == NULL && oci_digest_parse(reference, &exact, NULL)) {
        *current = storage_resolve(copy->storage, &exact, digest, NULL) &&
                   is_copied(copy, name, NULL, &exact, digest, partial);
        return TRUE;
    }
    if (tag == NULL ||
        (!storage_find_tag(copy->storage, name, tag, &here, NULL) && !storage_is_guarded(copy->storage, name, tag))) {
        return TRUE;
    }
    if (!ingot_remote_find_tag(copy->remote, copy_there(copy, name), tag, digest, &told, &problem) &&
        (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NETWORK) ||
         g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) ||
         g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED))) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    if (told &&
        (!copy_said(copy, name, digest, error) || !naming_settle(naming, copy, name, digest, NULL, partial, error))) {
        return FALSE;
    }
    const OciDigest named = told ? oci_digest_from_sha256(digest) : (OciDigest){0};
    *current = told && is_copied(copy, name, naming->set, &named, digest, partial);
    return TRUE;
}

/* Whether this is a manifest whose parts are known. Docker's schema 1, to which some registries convert what they have,
 * is not: its digest is not that of its bytes, and its layers stand elsewhere. */
static gboolean check_kind(const char *name, const json_t *root, GError **error)
{
    if (json_integer_value(json_object_get(root, "schemaVersion")) == 1 ||
        json_is_array(json_object_get(root, "fsLayers"))) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: the registry gives a manifest of Docker's schema 1, which can't be copied", name);
        return FALSE;
    }
    if (!json_is_object(root) ||
        (json_object_get(root, "schemaVersion") == NULL && json_object_get(root, "mediaType") == NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: the registry gives something that is no manifest",
                    name);
        return FALSE;
    }
    return TRUE;
}

static gboolean put(Copy *copy, const char *name, const char *tag, const OciDigest *named, GBytes *bytes,
                    const char *given, gboolean partial, guint depth, GError **error)
{
    g_autoptr(json_t) root =
        manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "the manifest", error);
    if (root == NULL || !check_kind(name, root, error)) {
        return FALSE;
    }
    g_autoptr(GArray) mentions = mentions_read(root);
    if (mentions == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: a manifest with a malformed descriptor", name);
        return FALSE;
    }
    g_autofree char *type = mediatype_of_copy(given, root, error);
    if (type == NULL) {
        g_prefix_error(error, "%s: ", name);
        return FALSE;
    }
    IngotDigest digest, base;
    g_autofree char *base_name = manifest_base_name(root);
    OciDigest subject;
    const char *about = json_string_value(json_object_get(json_object_get(root, "subject"), "digest"));
    const char *artifact = manifest_artifact(root);
    const StorageManifest manifest = {.data = g_bytes_get_data(bytes, NULL),
                                      .size = g_bytes_get_size(bytes),
                                      .type = type,
                                      .tag = tag,
                                      .subject = about != NULL && oci_digest_parse(about, &subject, NULL) ? &subject.key
                                                                                                          : NULL,
                                      .subject_text = about,
                                      .artifact = artifact == NULL ? "" : artifact,
                                      .base = manifest_base(root, &base) ? &base : NULL,
                                      .base_name = base_name,
                                      .named = named,
                                      .mentions = mentions,
                                      .actor = &copy_actor,
                                      .partial = partial,
                                      .cached = partial,
                                      .copied = TRUE,
                                      .promotes = !partial};
    return (partial || copy_mentions(copy, name, mentions, depth, error)) &&
           storage_put_manifest(copy->storage, name, &manifest, &digest, error);
}

/* Its bytes, and what it needs. */
static gboolean copy_one(Copy *copy, const char *name, const char *reference, Naming *naming, gboolean partial,
                         guint depth, IngotDigest *digest, gboolean *changed, GError **error)
{
    OciDigest named;
    IngotDescriptor found;
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes =
        ingot_remote_get_manifest(copy->remote, copy_there(copy, name), reference, &found, &type, error);
    copy->given = bytes != NULL;
    if (bytes == NULL) {
        return FALSE;
    }
    if (!oci_digest_parse(reference, &named, NULL)) { /* a tag */
        named = oci_digest_from_sha256(&found.digest);
    }
    *digest = found.digest;
    if (!copy_said(copy, name, digest, error) || !naming_settle(naming, copy, name, digest, bytes, partial, error)) {
        return FALSE;
    }
    *changed = !is_copied(copy, name, naming->set, &named, digest, partial);
    if (*changed && !put(copy, name, naming->set, &named, bytes, type, partial, depth, error)) {
        return FALSE;
    }
    copy->manifests += *changed;
    return TRUE;
}

static gboolean copy_deep(Copy *copy, const char *name, const char *reference, const char *tag, gboolean partial,
                          guint depth, gboolean *changed, GError **error)
{
    IngotDescriptor found;
    OciDigest named;
    gboolean current;
    g_auto(Naming) naming = {.tag = tag};
    copy->given = TRUE;
    if (depth > DEEP) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: manifests within manifests, too deep", name);
        return FALSE;
    }
    if (!is_current(copy, name, reference, &naming, partial, &found.digest, &current, error)) {
        return FALSE;
    }
    *changed = FALSE;
    if (!current && !copy_one(copy, name, reference, &naming, partial, depth, &found.digest, changed, error)) {
        return FALSE;
    }
    *changed = *changed && naming.set == tag;
    naming_tell(&naming, copy, name, &found.digest);
    if (!oci_digest_parse(reference, &named, NULL)) { /* a tag */
        named = oci_digest_from_sha256(&found.digest);
    }
    return partial || copy_attached(copy, name, &named, FALSE, depth, error);
}

gboolean copy_manifest(Copy *copy, const char *name, const char *reference, const char *tag, gboolean partial,
                       gboolean *changed, GError **error)
{
    return copy_deep(copy, name, reference, tag, partial, 0, changed, error);
}

gboolean copy_referrers(Copy *copy, const char *name, const OciDigest *subject, gboolean partial, GError **error)
{
    return copy_attached(copy, name, subject, partial, 0, error);
}
