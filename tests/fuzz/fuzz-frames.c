/* Frames: how a blob is cut, and lists of frames that a client offers.
 *
 * Cutting: the input, over and over, is a blob: it is cut alike in whatever steps it comes, and no piece is longer than
 * one may be, or shorter where others follow. Offers: the input is a list as it stands, which is answered or refused;
 * and it says what a client offers and then sends (Make), honestly or not. An honest client's blob can be read, and no
 * other's is there. */
#include <ingot/error.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fuzz.h"
#include "server/packs/splitter.h"
#include "server/storage/storage.h"

#define ENTRY 36u        /* bytes of a list's entry */
#define BLOB_MAX 200000u /* bytes that an input is repeated to, at most */
#define FRAMES_MAX 12u
#define UPLOADS_MANY 500u /* after as many the storage is made anew: it keeps what was pushed */

static IngotWorkdir *workdir;
static Storage *storage;
static guint uploads;

static void clean_up(void)
{
    storage_close(storage);
    ingot_workdir_free(workdir);
}

static void set_up(void)
{
    g_autoptr(GError) error = NULL;
    if (workdir == NULL) {
        workdir = ingot_workdir_new(&error);
        g_assert_no_error(error);
        atexit(clean_up);
    }
    if (storage != NULL && uploads < UPLOADS_MANY) {
        return;
    }
    g_autofree char *path = ingot_workdir_file(workdir, "data");
    storage_close(storage);
    g_assert(ingot_file_remove_tree(path, &error));
    storage = storage_open(path, &error);
    g_assert_no_error(error);
    storage_limit(storage, &(StorageLimits){.blob = 1u << 24});
    uploads = 0;
}

/* --- cutting --- */

/* Where the pieces end: GArray of gsize. The steps are those of the input's bytes, or the whole at once. */
static GArray *cut(const GByteArray *blob, const uint8_t *steps, size_t count)
{
    GArray *ends = g_array_new(FALSE, FALSE, sizeof(gsize));
    Splitter splitter;
    splitter_begin(&splitter);
    for (gsize at = 0, i = 0; at < blob->len; i++) {
        gsize step = count == 0 ? blob->len - at : MIN(blob->len - at, (gsize)1 + steps[i % count] * 17u);
        while (step > 0) {
            gboolean is_end;
            gsize used = splitter_take(&splitter, blob->data + at, step, &is_end);
            g_assert(used > 0 && used <= step && (is_end || used == step));
            at += used;
            step -= used;
            if (is_end) {
                g_array_append_val(ends, at);
            }
        }
    }
    return ends;
}

static void try_cutting(const uint8_t *data, size_t size)
{
    g_autoptr(GByteArray) blob = g_byte_array_new();
    while (size > 0 && blob->len + size <= BLOB_MAX) {
        g_byte_array_append(blob, data, (guint)size);
    }
    g_autoptr(GArray) ends = cut(blob, NULL, 0), again = cut(blob, data, size);
    g_assert(ends->len == again->len);
    for (guint i = 0; i < ends->len; i++) {
        gsize end = g_array_index(ends, gsize, i), before = i == 0 ? 0 : g_array_index(ends, gsize, i - 1);
        g_assert(end == g_array_index(again, gsize, i));
        g_assert(end - before >= PIECE_LEAST && end - before <= PIECE_MAX);
    }
}

/* --- a list as it stands --- */

static char *begin(void)
{
    g_autoptr(GError) error = NULL;
    char *id = storage_upload_new(storage, &(StorageUpload){.name = "a"}, &error);
    g_assert_no_error(error);
    uploads++;
    return id;
}

static void try_list(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) missing = g_byte_array_new();
    g_autofree char *id = begin();
    gboolean ok = storage_upload_offer(storage, id, data, size, NULL, NULL, missing, &error);
    g_assert(ok == (error == NULL));
    if (ok) {
        g_assert(size > 0 && size % ENTRY == 0 && missing->len == (size / ENTRY + 7) / 8);
    } else {
        g_assert(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID) ||
                 g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
    }
    g_assert(storage_upload_drop(storage, id, NULL));
}

/* --- what a client offers and sends --- */

typedef struct {
    uint8_t kind, seed, length;
} Make;

enum { HONEST, WRONG_LENGTH, WRONG_DIGEST, WRONG_BYTES, KINDS };

typedef struct {
    GByteArray *list, *blob;
    GPtrArray *frames; /* of GBytes, as they are sent */
    gboolean honest;
} Client;

static GBytes *frame_of(const Make *make)
{
    gsize size = (gsize)1 + (gsize)make->length * make->length / 8;
    guint8 *data = g_malloc(size);
    for (gsize i = 0; i < size; i++) {
        data[i] = (guint8)(make->seed + i * (i + 1) / 2);
    }
    return g_bytes_new_take(data, size);
}

static void add_frame(Client *client, const Make *make)
{
    GBytes *frame = frame_of(make);
    gsize size;
    const guint8 *data = g_bytes_get_data(frame, &size);
    IngotDigest digest;
    ingot_digest_of(data, size, &digest);
    digest.bytes[3] ^= make->kind % KINDS == WRONG_DIGEST;
    guint32 length = GUINT32_TO_LE((guint32)size + (make->kind % KINDS == WRONG_LENGTH));
    g_byte_array_append(client->list, digest.bytes, sizeof digest.bytes);
    g_byte_array_append(client->list, (const guint8 *)&length, sizeof length);
    g_byte_array_append(client->blob, data, (guint)size);
    if (make->kind % KINDS == WRONG_BYTES) {
        guint8 *other = g_memdup2(data, size);
        other[size / 2] ^= 1;
        g_bytes_unref(frame);
        frame = g_bytes_new_take(other, size);
    }
    client->honest = client->honest && make->kind % KINDS == HONEST;
    g_ptr_array_add(client->frames, frame);
}

/* Whether all that is missing was taken. */
static gboolean send_missing(const Client *client, const char *id, const GByteArray *missing)
{
    guint64 at = 0;
    for (guint i = 0; i < client->frames->len; i++) {
        gsize size;
        const void *data = g_bytes_get_data(g_ptr_array_index(client->frames, i), &size);
        if ((missing->data[i / 8] & (1u << (i % 8))) == 0) {
            continue;
        }
        if (!storage_upload_add(storage, id, 0, at, data, size, NULL)) {
            return FALSE;
        }
        at += size;
    }
    return TRUE;
}

static void check_blob(const Client *client, const IngotDigest *digest)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(StorageBlob) blob = storage_blob(storage, "a", digest, &error);
    g_assert_no_error(error);
    g_assert(storage_blob_size(blob) == client->blob->len);
    g_autofree guint8 *got = g_malloc(client->blob->len);
    g_assert(storage_blob_read_all(blob, 0, got, client->blob->len, &error));
    g_assert(memcmp(got, client->blob->data, client->blob->len) == 0);
}

/* A frame whose bytes or digest are wrong may be here from before, and then nobody sends it: what counts is the blob.
 */
static void push(const Client *client)
{
    g_autofree char *id = begin();
    g_autoptr(GByteArray) missing = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    IngotDigest digest;
    ingot_digest_of(client->blob->data, client->blob->len, &digest);
    gboolean offered =
        storage_upload_offer(storage, id, client->list->data, client->list->len, NULL, NULL, missing, &error);
    g_assert_no_error(error);
    gboolean ok =
        offered && send_missing(client, id, missing) && storage_upload_finish(storage, NULL, id, 0, "a", &digest, NULL);
    g_assert(ok || !client->honest);
    if (ok) {
        check_blob(client, &digest);
    } else {
        storage_upload_drop(storage, id, NULL);
    }
}

static void try_client(const uint8_t *data, size_t size)
{
    Client client = {.list = g_byte_array_new(),
                     .blob = g_byte_array_new(),
                     .frames = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref),
                     .honest = TRUE};
    for (guint i = 0; i < FRAMES_MAX && (i + 1) * sizeof(Make) <= size; i++) {
        Make make;
        memcpy(&make, data + i * sizeof make, sizeof make);
        add_frame(&client, &make);
    }
    if (client.frames->len > 0) {
        push(&client);
    }
    g_byte_array_unref(client.list);
    g_byte_array_unref(client.blob);
    g_ptr_array_unref(client.frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    set_up();
    try_cutting(data, size);
    try_list(data, size);
    try_client(data, size);
    return 0;
}
