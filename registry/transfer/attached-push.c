#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>

#include "base/json.h"
#include "remote/failure.h"
#include "store/attached.h"
#include "store/lacking.h"
#include "store/reach.h"
#include "transfer/attachments.h"
#include "transfer/cosign.h"
#include "transfer/send.h"

#define LEVELS_MOST 8u /* of indexes within an index, and of things attached to things attached */

typedef struct {
    IngotStore *store;
    IngotRemote *remote;
    const char *name;
    IngotProgress *progress;
    gboolean whole;       /* what a tag at the destination keeps from being sent is left, too */
    GHashTable *opened;   /* digests of manifests whose attachments have gone */
    GHashTable *children; /* of indexes, which have gone */
    guint left;           /* attachments that could not be sent */
    GError *problem;      /* of the first of them */
} Push;

static gboolean read_descriptor(const json_t *object, IngotDescriptor *out, GError **error)
{
    const char *digest = ingot_json_get_string(object, "digest", "an attachment", error);
    return digest != NULL && ingot_digest_parse(digest, &out->digest, error) &&
           ingot_json_get_size(object, "size", "an attachment", &out->size, error);
}

static gboolean push_part(const Push *push, const json_t *descriptor, GError **error)
{
    IngotDescriptor blob;
    return read_descriptor(descriptor, &blob, error) &&
           send_blob(push->store, push->remote, push->name, &blob, NULL, error);
}

static gboolean push_list(const Push *push, const json_t *list, GError **error)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!push_part(push, json_array_get(list, i), error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean push_parts(const Push *push, const json_t *root, guint level, GError **error);

/* A manifest of an index, with what it names. */
static gboolean push_child(const Push *push, const json_t *descriptor, guint level, GError **error)
{
    IngotDescriptor child;
    g_autoptr(GBytes) bytes = NULL;
    if (!read_descriptor(descriptor, &child, error)) {
        return FALSE;
    }
    g_autofree char *digest = ingot_digest_to_text(&child.digest);
    if (g_hash_table_contains(push->children, digest)) {
        return TRUE;
    }
    g_autoptr(json_t) root = reach_read(push->store, &child.digest, &bytes, error);
    gboolean sent = root != NULL && push_parts(push, root, level, error) &&
                    ingot_remote_put_manifest(push->remote, push->name, digest, g_bytes_get_data(bytes, NULL),
                                              g_bytes_get_size(bytes), attached_media_type(root), error);
    if (sent) {
        g_hash_table_add(push->children, g_steal_pointer(&digest));
    }
    return sent;
}

/* All that a manifest names, so that a registry which looks for it finds it. */
static gboolean push_parts(const Push *push, const json_t *root, guint level, GError **error)
{
    const json_t *config = json_object_get(root, "config"), *children = json_object_get(root, "manifests");
    if (level > LEVELS_MOST) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "what is attached: indexes within indexes");
        return FALSE;
    }
    if ((config != NULL && !push_part(push, config, error)) ||
        !push_list(push, json_object_get(root, "layers"), error) ||
        !push_list(push, json_object_get(root, "blobs"), error)) {
        return FALSE;
    }
    for (size_t i = 0; i < json_array_size(children); i++) {
        if (!push_child(push, json_array_get(children, i), level + 1, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* What a list of referrers says of it (distribution-spec 1.1, "Listing Referrers"). */
static json_t *list_entry(const json_t *root, const IngotDescriptor *manifest)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&manifest->digest, digest);
    return json_pack("{s:s, s:s, s:I, s:s*, s:O*}", "mediaType", attached_media_type(root), "digest", digest, "size",
                     (json_int_t)manifest->size, "artifactType", attached_type(root), "annotations",
                     json_object_get(root, "annotations"));
}

/* What the registry has by a tag beside the image's may hold other people's signatures: it stays, unless ours has them
 * all. *stays: it does. FALSE: an error, or it lacks what must be there. */
static gboolean push_meets(const Push *push, const Attached *attached, const json_t *root, const char *there,
                           gboolean *stays, GError **error)
{
    IngotDescriptor found;
    g_autoptr(GBytes) bytes = ingot_remote_get_manifest(push->remote, push->name, there, &found, NULL, error);
    if (bytes == NULL) {
        return FALSE;
    }
    g_autoptr(json_t) other = ingot_json_parse_bytes(bytes, attached->tag, INGOT_MANIFEST_VALUES, NULL);
    gboolean has_all = attached_holds(other, root);
    *stays = has_all || !attached_holds(root, other);
    if (!*stays || has_all) {
        return TRUE;
    }
    if (push->whole) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS,
                    "%s: the registry has another one under this tag, which lacks some of what this one holds",
                    attached->tag);
        return FALSE;
    }
    ingot_progress_warning(push->progress, "%s: the registry has another one under this tag, which stays",
                           attached->tag);
    return TRUE;
}

/* By a tag beside the image's. */
static gboolean push_beside(const Push *push, const Attached *attached, const json_t *root, GBytes *bytes,
                            GError **error)
{
    g_autofree char *there = NULL, *own = ingot_digest_to_text(&attached->manifest.digest);
    if (!cosign_find(push->remote, push->name, attached->tag, &there, error)) {
        return FALSE;
    }
    gboolean stays = FALSE;
    if (there != NULL && strcmp(there, own) != 0 && !push_meets(push, attached, root, there, &stays, error)) {
        return FALSE;
    }
    if (stays) {
        return TRUE;
    }
    return ingot_remote_put_manifest(push->remote, push->name, attached->tag, g_bytes_get_data(bytes, NULL),
                                     g_bytes_get_size(bytes), attached_media_type(root), error);
}

static gboolean push_one(const Push *push, const IngotDigest *subject, const Attached *attached, GError **error)
{
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(json_t) root = reach_read(push->store, &attached->manifest.digest, &bytes, error);
    if (root == NULL || !push_parts(push, root, 0, error)) {
        return FALSE;
    }
    if (attached->tag != NULL) {
        return push_beside(push, attached, root, bytes, error);
    }
    g_autoptr(json_t) listed = list_entry(root, &attached->manifest);
    return ingot_remote_attach(push->remote, push->name, subject, listed, g_bytes_get_data(bytes, NULL),
                               g_bytes_get_size(bytes), error);
}

/* Takes problem. FALSE: no more can be sent. */
static gboolean push_fails(Push *push, GError *problem, GError **error)
{
    if (failure_ends_all(problem)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    push->left++;
    if (push->problem == NULL) {
        push->problem = problem;
    } else {
        g_error_free(problem);
    }
    return TRUE;
}

/* Once of each, whatever is attached to what. What can't be sent keeps neither the others nor the image from going. */
static gboolean push_level(Push *push, const IngotDigest *subject, guint level, GError **error)
{
    if (!g_hash_table_add(push->opened, ingot_digest_to_text(subject))) {
        return TRUE;
    }
    g_autoptr(GPtrArray) all = attached_list(push->store, subject, error);
    gboolean ok = all != NULL;
    for (guint i = 0; ok && i < all->len; i++) {
        const Attached *one = g_ptr_array_index(all, i);
        GError *problem = NULL;
        if (one->before) {
            ingot_progress_warning(push->progress, "%s: the tag has held other signatures before, which stay here",
                                   one->tag);
        } else if (!push_one(push, subject, one, &problem)) {
            ok = push_fails(push, problem, error);
        } else if (level < LEVELS_MOST) {
            ok = push_level(push, &one->manifest.digest, level + 1, error);
        }
    }
    return ok;
}

/* Whoever pushes an image on is told what it lacks. */
static void tell_lacking(const Push *push, const IngotDigest *image)
{
    g_autoptr(json_t) lacking = lacking_load(push->store, image);
    const char *why = json_string_value(json_object_get(json_array_get(lacking, 0), "problem"));
    if (json_array_size(lacking) > 0) {
        ingot_progress_warning(push->progress,
                               "%u of what was attached to the image did not come along when it was pulled, and is not "
                               "sent; `ingot pull` asks for it again (%s)",
                               (guint)json_array_size(lacking), why == NULL ? "?" : why);
    }
}

gboolean attachments_push(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *image,
                          gboolean whole, IngotProgress *progress, char **left, GError **error)
{
    g_autoptr(GHashTable) opened = reach_new(), children = reach_new();
    Push push = {store, remote, name, progress, whole, opened, children, 0, NULL};
    tell_lacking(&push, &image->digest);
    gboolean ok = push_level(&push, &image->digest, 0, error);
    g_autoptr(GError) problem = push.problem;
    *left = ok && problem != NULL
                ? g_strdup_printf("%u of what is attached could not be sent: %s", push.left, problem->message)
                : NULL;
    return ok;
}

gboolean attachment_push(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *image,
                         const IngotDescriptor *attached, GError **error)
{
    g_autoptr(GHashTable) children = reach_new();
    const Push push = {.store = store, .remote = remote, .name = name, .children = children};
    return push_one(&push, &image->digest, &(Attached){.manifest = *attached}, error);
}
