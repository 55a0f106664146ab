#include <ingot/error.h>
#include <ingot/remote.h>
#include <ingot/store.h>
#include <ingot/transfer.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "image/encoder.h"
#include "image/indexes.h"
#include "image/oldindex.h"
#include "store/blobs.h"
#include "store/lacking.h"
#include "store/meant.h"
#include "transfer/admit.h"
#include "transfer/allowed.h"
#include "transfer/asks.h"
#include "transfer/assemble.h"
#include "transfer/attachments.h"
#include "transfer/fetch.h"
#include "transfer/platform.h"
#include "transfer/pull.h"

#define CONFIG_MAX (16u << 20) /* bytes */

/* The index says what the disk is made of, before any of it is fetched. */
static gboolean check_disk_size(const char *name, const IngotDescriptor *disk, const IngotIndex *index, GError **error)
{
    g_autoptr(GBytes) table = ingot_seek_table(index);
    return index->blob_size + g_bytes_get_size(table) == disk->size ||
           fetch_refuse_size(name, disk, "but by its index it has another size", error);
}

/* A disk that is there is read: whoever pulls again may do so because it was found to be damaged. FALSE: the process is
 * to end. */
static gboolean check_disk(IngotStore *store, const IngotDescriptor *disk, const char *what, gboolean *whole,
                           IngotProgress *progress, GError **error)
{
    g_autofree char *path = ingot_store_blob_path(store, &disk->digest);
    g_autoptr(GError) problem = NULL;
    IngotDigest digest;
    guint64 size;
    *whole = FALSE;
    if (!ingot_store_hold(store, &disk->digest)) {
        return TRUE;
    }
    ingot_progress_begin(progress, 0, "check %s", what);
    *whole = ingot_digest_of_file(path, &digest, &size, &problem) && size == disk->size &&
             ingot_digest_equal(&digest, &disk->digest);
    ingot_progress_drop(progress);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    return TRUE;
}

/* What is told of a disk while it comes; free it. */
static char *disk_title(const IngotReference *reference, const SeedsWanted *wanted)
{
    g_autofree char *what = ingot_reference_to_text(reference);
    guint count = wanted->image->disks->len;
    return count == 1 ? g_steal_pointer(&what) : g_strdup_printf("%s (disk %u of %u)", what, wanted->number + 1, count);
}

/* Another process may have fetched the disk meanwhile, or have failed, over one that is damaged. */
static gboolean pull_disk(IngotStore *store, IngotRemote *remote, const IngotReference *reference,
                          const SeedsWanted *wanted, IngotProgress *progress, guint64 *received, GError **error)
{
    const IngotDescriptor *disk = &ingot_manifest_disk(wanted->image, wanted->number)->disk;
    g_autofree char *what = disk_title(reference, wanted);
    gboolean whole = FALSE;
    while (check_disk(store, disk, what, &whole, progress, error)) {
        GError *problem = NULL;
        ingot_progress_begin(progress, disk->size, "pull %s", what);
        if (whole || assemble_disk(store, remote, reference, wanted, progress, received, &problem)) {
            return TRUE;
        }
        if (!g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_EXISTS)) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        g_error_free(problem);
    }
    return FALSE;
}

typedef struct {
    guint8 *bytes;
    guint64 size;
} Head;

static gboolean got_head(guint64 offset, const void *bytes, gsize size, gpointer user, GError **error)
{
    const Head *head = user;
    (void)error;
    g_assert(offset <= head->size && size <= head->size - offset);
    memcpy(head->bytes + offset, bytes, size);
    return TRUE;
}

/* Nothing but its beginning is fetched of an index that is too large. Always NULL. */
static IngotIndex *refuse_index(IngotRemote *remote, const char *name, const IngotDescriptor *blob, const char *what,
                                guint64 *received, GError **error)
{
    const IngotRange range = {.length = MIN(blob->size, OLDINDEX_HEAD)};
    g_autofree guint8 *bytes = g_malloc0(range.length);
    Head head = {bytes, range.length};
    if (ingot_remote_get_ranges(remote, name, &blob->digest, blob->size, &range, 1, got_head, &head, received, error)) {
        oldindex_refuse(bytes, range.length, what, error);
    }
    return NULL;
}

/* *memory: of the image's indexes so far. */
static IngotIndex *pull_index(IngotStore *store, IngotRemote *remote, const IngotReference *reference,
                              const IngotDiskPair *pair, gsize *memory, guint64 *received, GError **error)
{
    g_autofree char *what = ingot_reference_to_text(reference);
    if (pair->index.size > INGOT_INDEX_MAX) {
        return refuse_index(remote, reference->name, &pair->index, what, received, error);
    }
    g_autoptr(GBytes) bytes =
        fetch_blob(store, remote, reference->name, &pair->index, INGOT_INDEX_MAX, received, error);
    g_autoptr(IngotIndex) index = bytes != NULL && indexes_fit(bytes, pair->disk.size, what, memory, error)
                                      ? ingot_index_parse_for(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes),
                                                              pair->disk.size, what, error)
                                      : NULL;
    return index != NULL && check_disk_size(reference->name, &pair->disk, index, error) ? g_steal_pointer(&index)
                                                                                        : NULL;
}

static void unref_index(gpointer index)
{
    ingot_index_unref(index);
}

/* Of all disks, in their order: they come before any of the disks, so that what is wrong with one is known early.
 * GPtrArray of IngotIndex. */
static GPtrArray *pull_indexes(IngotStore *store, IngotRemote *remote, const IngotReference *reference,
                               const IngotManifest *manifest, guint64 *received, GError **error)
{
    g_autoptr(GPtrArray) indexes = g_ptr_array_new_with_free_func(unref_index);
    gsize memory = 0;
    for (guint i = 0; i < manifest->disks->len; i++) {
        IngotIndex *index =
            pull_index(store, remote, reference, ingot_manifest_disk(manifest, i), &memory, received, error);
        if (index == NULL) {
            return NULL;
        }
        g_ptr_array_add(indexes, index);
    }
    return g_steal_pointer(&indexes);
}

static gboolean pull_parts(IngotStore *store, IngotRemote *remote, const IngotReference *reference,
                           const IngotManifest *manifest, const IngotPullOptions *options, guint64 *received,
                           GError **error)
{
    IngotProgress *progress = options == NULL ? NULL : options->progress;
    g_autofree char *what = ingot_reference_to_text(reference);
    g_autoptr(GBytes) config =
        fetch_blob(store, remote, reference->name, &manifest->config, CONFIG_MAX, received, error);
    if (config == NULL) {
        return FALSE;
    }
    g_autoptr(json_t) checked =
        ingot_config_parse(g_bytes_get_data(config, NULL), g_bytes_get_size(config), what, error);
    gboolean fits = checked != NULL && ingot_config_fits(checked, manifest, what, error) &&
                    platform_check(checked, options == NULL ? NULL : options->remote, what, error);
    g_autoptr(GPtrArray) indexes = fits ? pull_indexes(store, remote, reference, manifest, received, error) : NULL;
    gboolean ok = indexes != NULL;
    for (guint i = 0; ok && i < manifest->disks->len; i++) {
        const SeedsWanted wanted = {manifest, i, g_ptr_array_index(indexes, i)};
        ok = pull_disk(store, remote, reference, &wanted, progress, received, error);
    }
    return ok;
}

/* A pull that has failed counts on nothing any more. Another thread by the same handle may wait for the disk's file. */
static void let_go(IngotStore *store, const IngotManifest *parts, const IngotDescriptor *manifest)
{
    ingot_store_let_go(store, &parts->config.digest);
    for (guint i = 0; i < parts->disks->len; i++) {
        ingot_store_let_go(store, &ingot_manifest_disk(parts, i)->index.digest);
        ingot_store_let_go(store, &ingot_manifest_disk(parts, i)->disk.digest);
    }
    ingot_store_let_go(store, &manifest->digest);
}

/* What is wrong with what came is about the image, whatever file it came into, and no fault of the command line's. */
static void blame_image(const IngotReference *reference, const char *what, GError **error)
{
    gboolean is_text = error != NULL && g_error_matches(*error, INGOT_ERROR, INGOT_ERROR_INVALID);
    if (!is_text && (error == NULL || !g_error_matches(*error, INGOT_ERROR, INGOT_ERROR_CORRUPT))) {
        return;
    }
    g_autoptr(GError) problem = g_steal_pointer(error);
    const char *text = problem->message;
    if (g_str_has_prefix(text, reference->host)) {
        g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, text);
    } else if (g_str_has_prefix(text, reference->name)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s/%s", reference->host, text);
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: %s", what, text);
    }
}

/* What a pull names its image. */
typedef struct {
    gboolean none;             /* it has its names */
    const char *tag;           /* NULL: as the reference says */
    gboolean since;            /* only where the tag still names that one: pull_since */
    const IngotDigest *before; /* NULL: none */
    gboolean found;            /* the digest is what the reference's tag names: pull_found, pull_entry */
} Naming;

static gboolean name_pulled(IngotStore *store, const IngotReference *reference, const Naming *naming,
                            const IngotDescriptor *manifest, GError **error)
{
    g_autofree char *name = ingot_reference_local_name(reference);
    const char *tag = naming->tag != NULL || reference->digest != NULL ? naming->tag : reference->tag;
    return naming->none    ? TRUE
           : tag == NULL   ? meant_name_pulled(store, name, reference->digest, manifest, error)
           : naming->since ? meant_move_tag(store, name, tag, naming->before, manifest, error)
                           : ingot_store_tag(store, name, tag, manifest, error);
}

/* What no verb reads of an image is not fetched, and noted: layers after its disk. */
static void note_layers(IngotStore *store, GBytes *bytes, const IngotManifest *parts, const IngotDescriptor *image)
{
    g_autoptr(json_t) root = ingot_json_parse_bytes(bytes, "the image's manifest", INGOT_MANIFEST_VALUES, NULL);
    lacking_keep_layers(store, &image->digest, root, parts->disks->len);
}

/* The image itself, and what is attached to it. */
static gboolean pull_whole(IngotStore *store, IngotRemote *remote, const IngotReference *reference, GBytes *bytes,
                           const IngotManifest *parts, const IngotDescriptor *manifest, const IngotPullOptions *options,
                           guint64 *received, GError **error)
{
    IngotProgress *progress = options == NULL ? NULL : options->progress;
    IngotDescriptor put;
    if (!pull_parts(store, remote, reference, parts, options, received, error) ||
        !ingot_store_put(store, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &put, error) ||
        !attachments_pull(store, remote, reference->name, manifest, progress, received, error)) {
        return FALSE;
    }
    note_layers(store, bytes, parts, manifest);
    return TRUE;
}

/* By its tag, or by the digest that was given. What was a tag when it was asked for is still judged as that. */
static IngotReference *pull_asked(const IngotReference *reference, const Naming *naming)
{
    gboolean pinned = reference->digest != NULL && !naming->since && !naming->found;
    const char *tag = naming->since ? naming->tag : reference->tag;
    return ingot_reference_new(reference->host, reference->name, pinned ? NULL : tag,
                               pinned ? reference->digest : NULL);
}

static gboolean pull_image(IngotStore *store, IngotReference *reference, const Naming *naming,
                           const IngotPullOptions *options, IngotDescriptor *manifest, guint64 *received,
                           GError **error)
{
    guint64 own = 0, *count = received == NULL ? &own : received;
    IngotProgress *progress = options == NULL ? NULL : options->progress;
    *count = 0;
    g_autoptr(IngotRemote) remote = ingot_remote_new(reference->host, options == NULL ? NULL : options->remote, error);
    g_autoptr(GBytes) bytes = remote == NULL ? NULL : ingot_transfer_image_manifest(remote, reference, manifest, error);
    g_autofree char *what = ingot_reference_to_text(reference);
    g_autoptr(json_t) words = remote == NULL ? NULL : allowed_words(remote);
    g_autoptr(IngotManifest) parts =
        bytes == NULL ? NULL
                      : ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), what, error);
    if (parts == NULL) {
        if (bytes != NULL) {
            blame_image(reference, what, error);
        } else if (words != NULL) {
            allowed_note(store, words, reference, NULL);
        }
        return FALSE;
    }
    g_autoptr(IngotReference) asked = pull_asked(reference, naming);
    gboolean came = admit_pull(store, remote, asked, &manifest->digest, options, error) &&
                    pull_whole(store, remote, reference, bytes, parts, manifest, options, count, error);
    if (!came) {
        blame_image(reference, what, error);
    }
    if (came) {
        allowed_note(store, words, reference, &manifest->digest);
    }
    gboolean ok = came && allowed_check(store, asked, &manifest->digest, options, error) &&
                  name_pulled(store, reference, naming, manifest, error);
    if (!ok || naming->none) {
        let_go(store, parts, manifest);
    }
    if (ok) {
        g_autofree char *size = ingot_text_size(*count);
        ingot_progress_end(progress, "%s over the network", size);
    } else {
        ingot_progress_drop(progress);
    }
    return ok;
}

gboolean ingot_transfer_pull(IngotStore *store, IngotReference *reference, const IngotPullOptions *options,
                             IngotDescriptor *manifest, guint64 *received, GError **error)
{
    return pull_image(store, reference, &(Naming){0}, options, manifest, received, error);
}

gboolean pull_as(IngotStore *store, IngotReference *reference, const char *tag, const IngotPullOptions *options,
                 IngotDescriptor *manifest, guint64 *received, GError **error)
{
    return pull_image(store, reference, &(Naming){.tag = tag}, options, manifest, received, error);
}

gboolean pull_found(IngotStore *store, IngotReference *reference, const IngotPullOptions *options, GError **error)
{
    IngotDescriptor manifest;
    const Naming naming = {.tag = reference->tag, .found = TRUE};
    return pull_image(store, reference, &naming, options, &manifest, NULL, error);
}

gboolean pull_since(IngotStore *store, IngotReference *reference, const char *tag, const IngotDigest *before,
                    const IngotPullOptions *options, GError **error)
{
    IngotDescriptor manifest;
    const Naming naming = {.tag = tag, .since = TRUE, .before = before};
    return pull_image(store, reference, &naming, options, &manifest, NULL, error);
}

gboolean pull_again(IngotStore *store, IngotReference *reference, const IngotPullOptions *options, GError **error)
{
    IngotDescriptor manifest;
    return pull_image(store, reference, &(Naming){.none = TRUE}, options, &manifest, NULL, error);
}

gboolean ingot_pull_parse(const char *text, const IngotReference *reference, IngotPull *pull, GError **error)
{
    static const char *const names[] = {
        [INGOT_PULL_MISSING] = "missing", [INGOT_PULL_ALWAYS] = "always", [INGOT_PULL_NEVER] = "never", NULL};
    guint found = text == NULL ? INGOT_PULL_MISSING : 0;
    while (text != NULL && names[found] != NULL && strcmp(names[found], text) != 0) {
        found++;
    }
    if (names[found] == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--pull=%s: missing, always or never is expected", text);
        return FALSE;
    }
    *pull = (IngotPull)found;
    if (*pull == INGOT_PULL_ALWAYS && reference->host == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--pull=always: %s has no host: it is an image of the store, which no registry is asked for",
                    reference->name);
        return FALSE;
    }
    return TRUE;
}

gboolean ingot_pull_parse_current(const char *text, const IngotReference *reference, IngotPull *pull, GError **error)
{
    gboolean moves = reference->digest == NULL && (reference->tag == NULL || !ingot_tag_is_version(reference->tag));
    return ingot_pull_parse(text == NULL && moves && reference->host != NULL ? "always" : text, reference, pull, error);
}

gboolean ingot_pull_asks(IngotPull pull, const IngotReference *reference, const GError *problem)
{
    gboolean missing = pull == INGOT_PULL_ALWAYS || g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND);
    return missing && pull != INGOT_PULL_NEVER && reference->host != NULL;
}

/* The store's, where it is for the architecture that is asked for. */
static IngotImage *find_stored(IngotStore *store, const IngotReference *reference, const IngotPullOptions *options,
                               GError **error)
{
    g_autofree char *what = ingot_reference_to_text(reference);
    const char *architecture = options == NULL || options->remote == NULL ? NULL : options->remote->architecture;
    g_autoptr(IngotImage) image = ingot_store_image_for(store, reference, architecture, error);
    return image != NULL && platform_check(image->config, options == NULL ? NULL : options->remote, what, error)
               ? g_steal_pointer(&image)
               : NULL;
}

static gboolean stored_is_allowed(IngotStore *store, const IngotReference *reference, const Naming *naming,
                                  const IngotImage *image, const IngotPullOptions *options, GError **error)
{
    g_autoptr(IngotReference) asked = pull_asked(reference, naming);
    return naming->found ? allowed_check(store, asked, &image->entry->manifest.digest, options, error)
                         : allowed_stored(store, reference, image->entry, options, error);
}

static IngotImage *find_or_pull(IngotStore *store, IngotReference *reference, const Naming *naming, IngotPull pull,
                                const IngotPullOptions *options, GError **error)
{
    IngotDescriptor manifest;
    GError *problem = NULL;
    g_autoptr(IngotImage) image = pull == INGOT_PULL_ALWAYS ? NULL : find_stored(store, reference, options, &problem);
    if (image != NULL) {
        g_autofree char *what = ingot_reference_to_text(reference);
        if (reference->host != NULL && reference->digest == NULL) {
            platform_tell(image->config, options == NULL ? NULL : options->remote, what,
                          options == NULL ? NULL : options->progress);
        }
        return stored_is_allowed(store, reference, naming, image, options, error) ? g_steal_pointer(&image) : NULL;
    }
    if (!ingot_pull_asks(pull, reference, problem)) {
        g_propagate_error(error, problem);
        return NULL;
    }
    g_clear_error(&problem);
    if (!pull_image(store, reference, naming, options, &manifest, NULL, error)) {
        return NULL;
    }
    g_autofree char *digest = ingot_digest_to_text(&manifest.digest); /* the reference's own may be an index's */
    g_autoptr(IngotReference) exact = ingot_reference_new(reference->host, reference->name, reference->tag, digest);
    return ingot_store_image(store, exact, error);
}

IngotImage *ingot_transfer_image(IngotStore *store, IngotReference *reference, IngotPull pull,
                                 const IngotPullOptions *options, GError **error)
{
    return find_or_pull(store, reference, &(Naming){0}, pull, options, error);
}

IngotImage *pull_entry(IngotStore *store, IngotReference *reference, IngotPull pull, const IngotPullOptions *options,
                       GError **error)
{
    return find_or_pull(store, reference, &(Naming){.found = TRUE}, pull, options, error);
}
