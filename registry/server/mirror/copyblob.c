/* Copying: blobs. */
#include <ingot/error.h>
#include <string.h>

#include "remote/ours.h"
#include "remote/relay.h"
#include "server/mirror/copy.h"
#include "server/storage/pulls.h"

#define WINDOW (16u << 20) /* bytes that are fetched at once, and put in order */
#define RUN (1u << 20)     /* bytes of one range: those who read meanwhile wait for the first */
#define ENTRY 36           /* bytes of a list of frames: digest, length */

/* Where the ranges of a window stand: they come in any order, long ones in parts. */
typedef struct {
    const GArray *ranges; /* of IngotRange, ascending */
    guint first, count;
    guint8 *data;
    const Copy *copy;
} Window;

/* Tells those who read it meanwhile. FALSE: nobody wants the rest. */
static gboolean pass_on(const Copy *copy, guint64 offset, const void *data, gsize size, GError **error)
{
    if (copy->cold != NULL) {
        cold_add(copy->cold, offset, data, size);
    }
    return copy->goes_on == NULL || copy->goes_on(copy->goes_on_user, error);
}

static gboolean take_range(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    const Window *window = user;
    guint64 at = 0, taken = 0;
    for (guint i = window->first; i < window->first + window->count; i++) {
        const IngotRange *range = &g_array_index(window->ranges, IngotRange, i);
        guint64 from = MAX(offset, range->offset), to = MIN(offset + size, range->offset + range->length);
        if (from < to) {
            memcpy(window->data + at + (from - range->offset), (const guint8 *)data + (from - offset), to - from);
            taken += to - from;
        }
        at += range->length;
    }
    if (taken != size) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "a range came that was not asked for");
        return FALSE;
    }
    return pass_on(window->copy, offset, data, size, error);
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
        Window window = {.ranges = ranges, .first = first, .count = count, .data = data, .copy = copy};
        if (!ingot_remote_get_ranges(copy->remote, copy_there(copy, name), digest, size,
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
    return pass_on(whole->copy, offset, data, size, error) &&
           storage_upload_add(whole->copy->storage, whole->upload, 0, offset, data, size, error);
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

static gboolean fetch_blob(Copy *copy, const char *name, const OciDigest *named, guint64 size, const char *upload,
                           GError **error)
{
    const IngotDigest *digest = &named->key;
    g_autoptr(GBytes) frames = NULL;
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(IngotRange));
    if (!ingot_remote_get_frames(copy->remote, copy_there(copy, name), digest, &frames, error)) {
        return FALSE;
    }
    if (frames == NULL) {
        Whole whole = {.copy = copy, .name = name, .upload = upload, .size = size};
        return ingot_remote_stream(copy->remote, copy_there(copy, name), digest, 0, 0, take_whole, &whole,
                                   &copy->received, error) &&
               storage_upload_finish_named(copy->storage, &copy_actor, upload, 0, name, named, NULL, NULL, error);
    }
    return missing_ranges(copy, name, upload, frames, size, ranges, error) &&
           fetch_ranges(copy, name, digest, size, upload, ranges, error) &&
           storage_upload_finish_named(copy->storage, &copy_actor, upload, 0, name, named, NULL, NULL, error);
}

GHashTable *copy_fetched_new(void)
{
    return g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, g_free);
}

/* The other registry gave it for another of its repositories. */
static gboolean mount(Copy *copy, const char *name, const OciDigest *named, const IngotDigest *digest)
{
    const char *holder = copy->fetched == NULL ? NULL : g_hash_table_lookup(copy->fetched, &named->key);
    return holder != NULL && storage_mount(copy->storage, &copy_actor, holder, name, digest, NULL);
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
    /* What is damaged here is mended from there. */
    gboolean has = storage_is_whole(copy->storage, name, &digest);
    if (has) {
        pulls_count_on(copy->storage, name, &digest); /* no manifest may need it yet */
    }
    if (has || mount(copy, name, named, &digest)) {
        return check_size(copy, name, &digest, size, error);
    }
    copy_call(copy, named);
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
