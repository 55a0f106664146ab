#include "server/mirror/copy.h"

#include <ingot/error.h>
#include <string.h>

#include "server/storage/mentions.h"
#include "server/storage/pulls.h"

#define WINDOW (16u << 20) /* bytes that are fetched at once, and put in order */
#define RUN (1u << 20)     /* bytes of one range: those who read meanwhile wait for the first */
#define ENTRY 36           /* bytes of a list of frames: digest, length */
#define DEEP 8             /* indexes within indexes, attachments of attachments */

static const StorageActor mirror = {.name = "mirror"}; /* who changes names here */

/* What the other registry calls the repository. */
static const char *there(const Copy *copy, const char *name)
{
    return name + copy->skip;
}

/* --- blobs --- */

/* Where the ranges of a window stand: they come in any order, long ones in parts. */
typedef struct {
    const GArray *ranges; /* of IngotRange, ascending */
    guint first, count;
    guint8 *data;
    Cold *cold;
} Window;

static void tell_cold(Cold *cold, guint64 offset, const void *data, gsize size)
{
    if (cold != NULL) {
        cold_add(cold, offset, data, size);
    }
}

static gboolean take_range(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    const Window *window = user;
    guint64 at = 0;
    for (guint i = window->first; i < window->first + window->count; i++) {
        const IngotRange *range = &g_array_index(window->ranges, IngotRange, i);
        if (offset >= range->offset && offset + size <= range->offset + range->length) {
            memcpy(window->data + at + (offset - range->offset), data, size);
            tell_cold(window->cold, offset, data, size);
            return TRUE;
        }
        at += range->length;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "a range came that was not asked for");
    return FALSE;
}

/* The ranges of the frames, window by window. */
static gboolean fetch_ranges(Copy *copy, const char *name, const IngotDigest *digest, guint64 size, const char *upload,
                             const GArray *ranges, GError **error)
{
    g_autofree guint8 *data = g_malloc(WINDOW);
    guint64 at = 0; /* of what comes */
    for (guint first = 0; first < ranges->len;) {
        guint count = 0;
        guint64 total = 0;
        for (; first + count < ranges->len; count++) {
            guint64 length = g_array_index(ranges, IngotRange, first + count).length;
            if (total + length > WINDOW) {
                break;
            }
            total += length;
        }
        Window window = {.ranges = ranges, .first = first, .count = count, .data = data, .cold = copy->cold};
        if (!ingot_remote_get_ranges(copy->remote, there(copy, name), digest, size,
                                     &g_array_index(ranges, IngotRange, first), count, take_range, &window,
                                     &copy->received, error) ||
            !storage_upload_add(copy->storage, upload, 0, at, data, total, error)) {
            return FALSE;
        }
        first += count;
        at += total;
    }
    return TRUE;
}

typedef struct {
    Copy *copy;
    const char *name, *upload;
    guint64 size;
} Whole;

static gboolean take_whole(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    const Whole *whole = user;
    if (size > whole->size || offset > whole->size - size) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: a blob is longer than the %" G_GUINT64_FORMAT " bytes that are said of it", whole->name,
                    whole->size);
        return FALSE;
    }
    tell_cold(whole->copy->cold, offset, data, size);
    return storage_upload_add(whole->copy->storage, whole->upload, 0, offset, data, size, error);
}

static void add_range(GArray *ranges, guint64 offset, guint64 length)
{
    IngotRange *last = ranges->len == 0 ? NULL : &g_array_index(ranges, IngotRange, ranges->len - 1);
    IngotRange range = {.offset = offset, .length = length};
    if (last != NULL && last->offset + last->length == offset && last->length + length <= RUN) {
        last->length += length;
    } else {
        g_array_append_val(ranges, range);
    }
}

static gboolean is_same(const char *repository, gpointer name)
{
    return strcmp(repository, name) == 0;
}

/* The ranges of the frames that the repository lacks. */
static gboolean missing_ranges(Copy *copy, const char *name, const char *upload, GBytes *frames, guint64 blob_size,
                               GArray *ranges, GError **error)
{
    g_autoptr(GByteArray) missing = g_byte_array_new();
    gsize size;
    const guint8 *list = g_bytes_get_data(frames, &size);
    if (!storage_upload_offer(copy->storage, upload, list, size, is_same, (gpointer)name, missing, error)) {
        return FALSE;
    }
    guint64 offset = 0;
    for (gsize i = 0; i < size / ENTRY; i++) {
        guint32 length;
        memcpy(&length, list + i * ENTRY + INGOT_DIGEST_SIZE, sizeof length);
        length = GUINT32_FROM_LE(length);
        if ((missing->data[i / 8] & (1u << (i % 8))) != 0) {
            add_range(ranges, offset, length);
        }
        offset += length;
    }
    if (offset != blob_size) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "a list of frames makes a blob of %" G_GUINT64_FORMAT " bytes, not of the %" G_GUINT64_FORMAT
                    " that are said of it",
                    offset, blob_size);
    }
    return offset == blob_size;
}

/* The upstream is asked for it as it is named. */
static void call_named(const Copy *copy, const OciDigest *named)
{
    g_autofree char *text = named->is_sha512 ? oci_digest_to_text(named) : NULL;
    if (text != NULL) {
        ingot_remote_call(copy->remote, &named->key, text);
    }
}

static gboolean fetch_blob(Copy *copy, const char *name, const OciDigest *named, guint64 size, const char *upload,
                           GError **error)
{
    const IngotDigest *digest = &named->key;
    g_autoptr(GBytes) frames = NULL;
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(IngotRange));
    if (!ingot_remote_get_frames(copy->remote, there(copy, name), digest, &frames, error)) {
        return FALSE;
    }
    if (frames == NULL) {
        Whole whole = {.copy = copy, .name = name, .upload = upload, .size = size};
        return ingot_remote_stream(copy->remote, there(copy, name), digest, 0, 0, take_whole, &whole, &copy->received,
                                   error) &&
               storage_upload_finish_named(copy->storage, &mirror, upload, 0, name, named, NULL, NULL, error);
    }
    return missing_ranges(copy, name, upload, frames, size, ranges, error) &&
           fetch_ranges(copy, name, digest, size, upload, ranges, error) &&
           storage_upload_finish_named(copy->storage, &mirror, upload, 0, name, named, NULL, NULL, error);
}

GHashTable *copy_fetched_new(void)
{
    return g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, g_free);
}

/* The other registry gave it for another of its repositories. */
static gboolean mount(Copy *copy, const char *name, const OciDigest *named, const IngotDigest *digest)
{
    const char *holder = copy->fetched == NULL ? NULL : g_hash_table_lookup(copy->fetched, &named->key);
    return holder != NULL && storage_mount(copy->storage, &mirror, holder, name, digest, NULL);
}

/* Whether the blob that is here has the size that is said of it. */
static gboolean check_size(const Copy *copy, const char *name, const IngotDigest *digest, guint64 size, GError **error)
{
    g_autoptr(StorageBlob) blob = storage_blob(copy->storage, name, digest, error);
    if (blob != NULL && storage_blob_size(blob) != size) {
        g_autofree char *text = ingot_digest_to_text(digest);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: %s has %" G_GUINT64_FORMAT " bytes, not the %" G_GUINT64_FORMAT " that are said of it", name,
                    text, storage_blob_size(blob), size);
        return FALSE;
    }
    return blob != NULL;
}

gboolean copy_blob(Copy *copy, const char *name, const OciDigest *named, guint64 size, GError **error)
{
    IngotDigest digest;
    if (!storage_resolve(copy->storage, named, &digest, error)) {
        return FALSE;
    }
    gboolean has = storage_has(copy->storage, name, &digest);
    if (has) {
        pulls_ask(copy->storage, name, &digest); /* no manifest may need it yet */
    }
    if (has || mount(copy, name, named, &digest)) {
        return check_size(copy, name, &digest, size, error);
    }
    call_named(copy, named);
    const StorageUpload about = {.name = name, .brief = TRUE, .sha512 = named->is_sha512};
    g_autofree char *upload = storage_upload_new(copy->storage, &about, error);
    if (upload == NULL) {
        return FALSE;
    }
    if (!fetch_blob(copy, name, named, size, upload, error)) {
        storage_upload_drop(copy->storage, upload, NULL);
        return FALSE;
    }
    copy->blobs++;
    if (copy->fetched != NULL) {
        g_hash_table_replace(copy->fetched, g_memdup2(&named->key, sizeof named->key), g_strdup(name));
    }
    return TRUE;
}

/* --- manifests --- */

static gboolean copy_deep(Copy *copy, const char *name, const char *reference, const char *tag, gboolean partial,
                          guint depth, gboolean *changed, GError **error);

static gboolean copy_mentions(Copy *copy, const char *name, const GArray *mentions, guint depth, GError **error)
{
    for (guint i = 0; i < mentions->len; i++) {
        const Mention *mention = &g_array_index(mentions, Mention, i);
        const OciDigest named = mention_named(mention);
        g_autofree char *text = mention_text(mention);
        gboolean changed;
        if (mention->manifest ? !copy_deep(copy, name, text, NULL, FALSE, depth + 1, &changed, error)
                              : !copy_blob(copy, name, &named, mention->size, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* One that can't be had (deleted, too large, wrong) is told and left where it is: it is no part of the image. FALSE: a
 * signal came. */
static gboolean copy_attachment(Copy *copy, const char *name, const char *digest, gboolean partial, guint depth,
                                GError **error)
{
    gboolean changed;
    g_autoptr(GError) problem = NULL;
    if (copy_deep(copy, name, digest, NULL, partial, depth + 1, &changed, &problem)) {
        return TRUE;
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    copy->left++;
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
           storage_find_alias(copy->storage, &mirror, name, &digest, error);
}

static gboolean copy_attached(Copy *copy, const char *name, const OciDigest *subject, gboolean partial, guint depth,
                              GError **error)
{
    call_named(copy, subject);
    g_autoptr(json_t) list =
        depth == DEEP ? json_array() : ingot_remote_referrers(copy->remote, there(copy, name), &subject->key, error);
    for (size_t i = 0; list != NULL && i < json_array_size(list); i++) {
        const char *digest = json_string_value(json_object_get(json_array_get(list, i), "digest"));
        if (digest != NULL && oci_digest_parse(digest, &(OciDigest){0}, NULL) &&
            !copy_attachment(copy, name, digest, partial, depth, error)) {
            return FALSE;
        }
    }
    return list != NULL && (json_array_size(list) == 0 || know_subject(copy, name, subject, error));
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

/* Whether all that a manifest needs is here too: what a cache has taken may be the manifest alone. */
static gboolean is_whole(Copy *copy, const char *name, const IngotDigest *digest, guint depth)
{
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = depth > DEEP ? NULL : storage_manifest(copy->storage, name, digest, &type, NULL);
    g_autoptr(json_t) root =
        bytes == NULL ? NULL : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    g_autoptr(GArray) mentions = root == NULL ? NULL : mentions_read(root);
    gboolean whole = mentions != NULL && storage_resolve_mentions(copy->storage, mentions, NULL);
    for (guint i = 0; whole && i < mentions->len; i++) {
        const Mention *mention = &g_array_index(mentions, Mention, i);
        whole = mention->manifest ? is_whole(copy, name, &mention->digest, depth + 1)
                                  : storage_has(copy->storage, name, &mention->digest);
    }
    return whole;
}

/* Whether there is nothing to be copied. What a cache has taken is kept for as long as it is pulled; what is mirrored
 * stays, so it is put anew. */
static gboolean is_copied(Copy *copy, const char *name, const char *tag, const OciDigest *named,
                          const IngotDigest *digest, gboolean partial)
{
    return is_here(copy, name, tag, named, digest) &&
           (partial ||
            ((tag == NULL || storage_is_pushed(copy->storage, name, tag)) && is_whole(copy, name, digest, 0)));
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
                    const char *type, gboolean partial, guint depth, GError **error)
{
    g_autoptr(json_t) root =
        ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "the manifest", error);
    if (root == NULL || !check_kind(name, root, error)) {
        return FALSE;
    }
    g_autoptr(GArray) mentions = mentions_read(root);
    if (mentions == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: a manifest with a malformed descriptor", name);
        return FALSE;
    }
    IngotDigest digest;
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
                                      .named = named,
                                      .mentions = mentions,
                                      .actor = &mirror,
                                      .partial = partial,
                                      .cached = partial};
    return (partial || copy_mentions(copy, name, mentions, depth, error)) &&
           storage_put_manifest(copy->storage, name, &manifest, &digest, error);
}

static gboolean copy_deep(Copy *copy, const char *name, const char *reference, const char *tag, gboolean partial,
                          guint depth, gboolean *changed, GError **error)
{
    IngotDescriptor found;
    OciDigest named;
    g_autofree char *type = NULL;
    if (depth > DEEP) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: manifests within manifests, too deep", name);
        return FALSE;
    }
    g_autoptr(GBytes) bytes =
        ingot_remote_get_manifest(copy->remote, there(copy, name), reference, &found, &type, error);
    if (bytes == NULL) {
        return FALSE;
    }
    if (!oci_digest_parse(reference, &named, NULL)) { /* a tag */
        named = oci_digest_from_sha256(&found.digest);
    }
    *changed = !is_copied(copy, name, tag, &named, &found.digest, partial);
    if (*changed) {
        if (!put(copy, name, tag, &named, bytes, type == NULL ? INGOT_TYPE_MANIFEST : type, partial, depth, error)) {
            return FALSE;
        }
        copy->manifests++;
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
