/* What the tests of the storage share: a folder, bytes that are alike or not, pushing and pulling. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/file.h"
#include "server/storage/mentions.h"
#include "server/storage/scrub.h"
#include "server/storage/storage.h"

static inline int set_up(void **state)
{
    *state = ingot_workdir_new(NULL);
    return *state == NULL;
}

static inline int tear_down(void **state)
{
    ingot_workdir_free(*state);
    return 0;
}

static inline Storage *open_storage(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    g_autoptr(GError) error = NULL;
    Storage *storage = storage_open(path, &error);
    if (storage == NULL) {
        fail_msg("%s", error->message);
    }
    return storage;
}

/* The same seed gives the same bytes. */
static inline GByteArray *noise(guint32 seed, gsize size)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    GByteArray *bytes = g_byte_array_sized_new((guint)size + 4);
    while (bytes->len < size) {
        guint32 word = g_rand_int(random);
        g_byte_array_append(bytes, (const guint8 *)&word, sizeof word);
    }
    return g_byte_array_set_size(bytes, (guint)size);
}

static inline void add_bytes(GByteArray *to, GByteArray *more)
{
    g_byte_array_append(to, more->data, more->len);
    g_byte_array_unref(more);
}

/* A zstd frame of noise. */
static inline GByteArray *frame(guint32 seed, gsize size, gboolean checksum)
{
    g_autoptr(GByteArray) plain = noise(seed, size);
    GByteArray *out = g_byte_array_new();
    g_byte_array_set_size(out, (guint)ZSTD_compressBound(size));
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum);
    size_t count = ZSTD_compress2(context, out->data, out->len, plain->data, plain->len);
    ZSTD_freeCCtx(context);
    assert_false(ZSTD_isError(count));
    return g_byte_array_set_size(out, (guint)count);
}

/* Frames of the seeds first, first + 1, … */
static inline GByteArray *frames(guint32 first, guint count, gsize size)
{
    GByteArray *out = g_byte_array_new();
    for (guint i = 0; i < count; i++) {
        add_bytes(out, frame(first + i, size, TRUE));
    }
    return out;
}

static inline IngotDigest digest_of(const GByteArray *bytes)
{
    IngotDigest digest;
    ingot_digest_of(bytes->data, bytes->len, &digest);
    return digest;
}

/* Runs SQL beside the storage. */
static inline void in_catalogue(void **state, const char *sql)
{
    g_autofree char *path = ingot_workdir_file(*state, "data/catalogue.sqlite");
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

/* Of a repository that has no quota of its own. */
static inline char *begin_upload(Storage *storage, GError **error)
{
    return storage_upload_new(storage, &(StorageUpload){.name = "a"}, error);
}

static inline gboolean add_steps(Storage *storage, const char *id, const GByteArray *bytes, gsize from, gsize to,
                                 gsize step, GError **error)
{
    for (gsize at = from; at < to; at += step) {
        if (!storage_upload_add(storage, id, 0, at, bytes->data + at, MIN(step, to - at), error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Threads may call it: nothing is asserted. */
static inline gboolean try_push(Storage *storage, const char *name, const GByteArray *bytes, gsize step, GError **error)
{
    IngotDigest digest = digest_of(bytes);
    g_autofree char *id = storage_upload_new(storage, &(StorageUpload){.name = name}, error);
    gboolean ok = id != NULL && add_steps(storage, id, bytes, 0, bytes->len, step, error) &&
                  storage_upload_finish(storage, NULL, id, 0, name, &digest, error);
    if (!ok && id != NULL) {
        storage_upload_drop(storage, id, NULL);
    }
    return ok;
}

static inline IngotDigest push(Storage *storage, const char *name, const GByteArray *bytes)
{
    g_autoptr(GError) error = NULL;
    if (!try_push(storage, name, bytes, 70000, &error)) {
        fail_msg("%s", error->message);
    }
    return digest_of(bytes);
}

static inline gboolean read_range(StorageBlob *blob, guint64 offset, guint8 *buffer, gsize size, GError **error)
{
    for (gsize at = 0; at < size;) {
        gssize count = storage_blob_read(blob, offset + at, buffer + at, size - at, error);
        if (count <= 0) {
            return FALSE;
        }
        at += (gsize)count;
    }
    return TRUE;
}

/* Whether the repository has these bytes under their digest; threads may call it. */
static inline gboolean try_pull(Storage *storage, const char *name, const GByteArray *bytes, GError **error)
{
    IngotDigest digest = digest_of(bytes);
    g_autoptr(StorageBlob) blob = storage_blob(storage, name, &digest, error);
    if (blob == NULL) {
        return FALSE;
    }
    g_autofree guint8 *got = g_malloc(bytes->len + 1);
    return storage_blob_size(blob) == bytes->len && read_range(blob, 0, got, bytes->len, error) &&
           memcmp(got, bytes->data, bytes->len) == 0;
}

static inline void pull(Storage *storage, const char *name, const GByteArray *bytes)
{
    g_autoptr(GError) error = NULL;
    if (!try_pull(storage, name, bytes, &error)) {
        fail_msg("%s", error == NULL ? "other bytes" : error->message);
    }
}

/* A manifest that names blobs; text makes it different from others. */
static inline gboolean try_manifest(Storage *storage, const char *name, const char *tag, const char *text,
                                    const IngotDigest *blobs, guint count, const IngotDigest *subject,
                                    IngotDigest *digest, GError **error)
{
    g_autoptr(GArray) mentions = g_array_new(FALSE, FALSE, sizeof(Mention));
    g_autoptr(GString) json = g_string_new("{\"layers\":[");
    for (guint i = 0; i < count; i++) {
        Mention mention = {.digest = blobs[i]};
        g_array_append_val(mentions, mention);
        g_autofree char *one = ingot_digest_to_text(&blobs[i]);
        g_string_append_printf(json, "%s{\"digest\":\"%s\"}", i == 0 ? "" : ",", one);
    }
    g_string_append_printf(json, "],\"text\":\"%s\"", text);
    if (subject != NULL) {
        g_autofree char *named = ingot_digest_to_text(subject);
        g_string_append_printf(json, ",\"subject\":{\"digest\":\"%s\"}", named);
    }
    g_string_append_c(json, '}');
    const StorageManifest manifest = {.data = json->str,
                                      .size = json->len,
                                      .type = "application/vnd.oci.image.manifest.v1+json",
                                      .tag = tag,
                                      .subject = subject,
                                      .mentions = mentions};
    return storage_put_manifest(storage, name, &manifest, digest, error);
}

static inline IngotDigest put_manifest(Storage *storage, const char *name, const char *tag, const char *text,
                                       const IngotDigest *blobs, guint count)
{
    IngotDigest digest;
    g_autoptr(GError) error = NULL;
    if (!try_manifest(storage, name, tag, text, blobs, count, NULL, &digest, &error)) {
        fail_msg("%s", error->message);
    }
    return digest;
}

static inline StorageStats stats_of(Storage *storage)
{
    StorageStats stats;
    assert_true(storage_stats(storage, &stats, NULL));
    return stats;
}

/* Bytes that the files of packs take. */
static inline guint64 packed_bytes(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data/packs");
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    guint64 all = 0;
    for (const char *name; (name = g_dir_read_name(folder)) != NULL;) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        GStatBuf st;
        all += g_stat(file, &st) == 0 ? (guint64)st.st_size : 0;
    }
    return all;
}

static inline void flip(const char *path, guint64 at)
{
    guint8 byte;
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

/* The path of a pack in which these bytes stand; free it. */
static inline char *pack_of(void **state, const GByteArray *bytes)
{
    g_autofree char *path = ingot_workdir_file(*state, "data/packs");
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    for (const char *name; (name = g_dir_read_name(folder)) != NULL;) {
        g_autofree char *file = g_build_filename(path, name, NULL), *all = NULL;
        gsize size;
        if (g_file_get_contents(file, &all, &size, NULL) && memmem(all, size, bytes->data, bytes->len) != NULL) {
            return g_steal_pointer(&file);
        }
    }
    fail_msg("no pack has the bytes");
    return NULL;
}

/* Flips a byte of the one place in all packs where these bytes stand; damages[at]. */
static inline void damage(void **state, const GByteArray *bytes, gsize at)
{
    g_autofree char *path = ingot_workdir_file(*state, "data/packs");
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    guint found = 0;
    for (const char *name; (name = g_dir_read_name(folder)) != NULL;) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        g_autofree char *all = NULL;
        gsize size;
        assert_true(g_file_get_contents(file, &all, &size, NULL));
        const char *place = memmem(all, size, bytes->data, bytes->len);
        if (place != NULL) {
            flip(file, (guint64)(place - all) + at);
            found++;
        }
    }
    assert_int_equal(found, 1);
}

/* The frames of so many bytes that these are, as an offer lists them. */
static inline GByteArray *list_of(const GByteArray *bytes, guint frame)
{
    GByteArray *list = g_byte_array_new();
    for (guint at = 0; at < bytes->len; at += frame) {
        IngotDigest digest;
        guint32 length = MIN(frame, bytes->len - at), little = GUINT32_TO_LE(length);
        ingot_digest_of(bytes->data + at, length, &digest);
        g_byte_array_append(list, digest.bytes, sizeof digest.bytes);
        g_byte_array_append(list, (const guint8 *)&little, sizeof little);
    }
    return list;
}

static inline void add_line(const char *line, gpointer lines)
{
    g_ptr_array_add(lines, g_strdup(line));
}

/* A scrub finds nothing; `what` came before it. */
static inline void assert_clean_after(Storage *storage, const char *what)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    const ScrubOptions options = {.tell = add_line, .user = lines};
    ScrubReport report;
    g_autoptr(GError) error = NULL;
    if (!storage_scrub(storage, &options, &report, &error)) {
        fail_msg("%s: %s", what, error->message);
    }
    if (report.inconsistencies + report.damaged > 0) {
        fail_msg("%s: %s", what, lines->len == 0 ? "damage" : (const char *)g_ptr_array_index(lines, 0));
    }
}

static inline void assert_clean(Storage *storage)
{
    assert_clean_after(storage, "a scrub");
}
