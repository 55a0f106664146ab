/* Storage on a file system:
 *
 *   blobs/sha256/HEX                       every blob and manifest, once
 *   repositories/NAME/_blobs/HEX           (empty) the repository has it
 *   repositories/NAME/_manifests/HEX       (the media type) it has it as a manifest
 *   repositories/NAME/_tags/TAG            (the digest)
 *   repositories/NAME/_referrers/HEX/HEX   (empty) the second has the first as its subject
 *   uploads/ID                             what has come of an upload
 *
 * A part of a name never begins with '_', so these folders are never names. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/storage/storage.h"

#define MANIFEST_MAX (4u << 20) /* bytes */
#define SMALL_MAX 1024          /* bytes of a tag's or a media type's file */
#define UPLOAD_AGE (24 * 3600)  /* seconds after which an upload that nobody goes on with is dropped */

struct Storage {
    char *path;
    IngotLock *lock;
    GMutex names; /* held while names change, so that a removal and a put never meet half way */
};

static const char *hex_of(const IngotDigest *digest, char text[INGOT_DIGEST_TEXT_SIZE])
{
    ingot_digest_write_text(digest, text);
    return text + strlen("sha256:");
}

static char *blob_path(const Storage *storage, const IngotDigest *digest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    return g_build_filename(storage->path, "blobs", "sha256", hex_of(digest, text), NULL);
}

static char *name_path(const Storage *storage, const char *name, const char *kind, const char *entry)
{
    return g_build_filename(storage->path, "repositories", name, kind, entry, NULL);
}

static char *link_path(const Storage *storage, const char *name, const char *kind, const IngotDigest *digest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    return name_path(storage, name, kind, hex_of(digest, text));
}

static char *upload_path(const Storage *storage, const char *id)
{
    return g_build_filename(storage->path, "uploads", id, NULL);
}

static gboolean write_small(const char *path, const char *text, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    return ingot_file_make_folder(folder, error) && ingot_file_replace(path, text, strlen(text), 0644, error);
}

static gboolean unknown(GError **error, const char *what)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s is not known here", what);
    return FALSE;
}

static gboolean remove_file(const char *path, const char *what, GError **error)
{
    if (unlink(path) == 0) {
        return TRUE;
    }
    return errno == ENOENT ? unknown(error, what) : ingot_error_set_errno(error, errno, "%s", path);
}

static void sweep_uploads(const Storage *storage)
{
    g_autofree char *folder = g_build_filename(storage->path, "uploads", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        struct stat st;
        if (stat(path, &st) == 0 && st.st_mtime + UPLOAD_AGE < time(NULL)) {
            unlink(path);
        }
    }
}

Storage *storage_open(const char *path, GError **error)
{
    static const char *const folders[] = {"blobs/sha256", "repositories", "uploads"};
    g_autoptr(Storage) storage = g_new0(Storage, 1);
    g_mutex_init(&storage->names);
    storage->path = g_canonicalize_filename(path, NULL);
    /* A folder that we make is nobody else's to read; one that is there has the mode that its owner chose. */
    if (!g_file_test(storage->path, G_FILE_TEST_EXISTS) &&
        (!ingot_file_make_folder(storage->path, error) || chmod(storage->path, 0700) != 0)) {
        return NULL;
    }
    for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *folder = g_build_filename(storage->path, folders[i], NULL);
        if (!ingot_file_make_folder(folder, error)) {
            return NULL;
        }
    }
    g_autofree char *lock = g_build_filename(storage->path, ".lock", NULL);
    storage->lock = ingot_lock_take(lock, TRUE, FALSE, error);
    if (storage->lock == NULL) {
        g_prefix_error(error, "another ingotd serves this folder: ");
        return NULL;
    }
    sweep_uploads(storage);
    return g_steal_pointer(&storage);
}

gboolean storage_writable(Storage *storage, GError **error)
{
    g_autofree char *folder = g_build_filename(storage->path, "uploads", NULL);
    g_auto(IngotFd) fd = ingot_file_open(folder, O_TMPFILE | O_WRONLY, 0600, error);
    char block[4096] = {0};
    return fd >= 0 && ingot_file_pwrite(fd, block, sizeof block, 0, folder, error);
}

void storage_close(Storage *storage)
{
    if (storage != NULL) {
        g_clear_pointer(&storage->lock, ingot_lock_release);
        g_mutex_clear(&storage->names);
        g_free(storage->path);
        g_free(storage);
    }
}

/* --- blobs --- */

gboolean storage_has(Storage *storage, const char *name, const IngotDigest *digest)
{
    g_autofree char *link = link_path(storage, name, "_blobs", digest);
    g_autofree char *path = blob_path(storage, digest);
    return g_file_test(link, G_FILE_TEST_EXISTS) && g_file_test(path, G_FILE_TEST_EXISTS);
}

int storage_blob(Storage *storage, const char *name, const IngotDigest *digest, guint64 *size, GError **error)
{
    g_autofree char *path = blob_path(storage, digest);
    int fd = storage_has(storage, name, digest) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        unknown(error, "the blob");
        return -1;
    }
    *size = (guint64)st.st_size;
    return fd;
}

static gboolean link_blob(const Storage *storage, const char *name, const IngotDigest *digest, GError **error)
{
    g_autofree char *link = link_path(storage, name, "_blobs", digest);
    return write_small(link, "", error);
}

gboolean storage_mount(Storage *storage, const char *from, const char *name, const IngotDigest *digest, GError **error)
{
    return storage_has(storage, from, digest) && link_blob(storage, name, digest, error);
}

gboolean storage_remove_blob(Storage *storage, const char *name, const IngotDigest *digest, GError **error)
{
    g_autofree char *link = link_path(storage, name, "_blobs", digest);
    return remove_file(link, "the blob", error);
}

/* --- uploads --- */

static gboolean id_ok(const char *id)
{
    return g_uuid_string_is_valid(id);
}

char *storage_upload_new(Storage *storage, GError **error)
{
    g_autofree char *id = g_uuid_string_random();
    g_autofree char *path = upload_path(storage, id);
    g_auto(IngotFd) fd = ingot_file_open(path, O_WRONLY | O_CREAT | O_EXCL, 0644, error);
    return fd < 0 ? NULL : g_steal_pointer(&id);
}

gboolean storage_upload_size(Storage *storage, const char *id, guint64 *size, GError **error)
{
    g_autofree char *path = upload_path(storage, id_ok(id) ? id : "-");
    struct stat st;
    if (stat(path, &st) != 0) {
        return unknown(error, "the upload");
    }
    *size = (guint64)st.st_size;
    return TRUE;
}

gboolean storage_upload_add(Storage *storage, const char *id, const void *data, gsize size, GError **error)
{
    guint64 at;
    if (!storage_upload_size(storage, id, &at, error)) {
        return FALSE;
    }
    g_autofree char *path = upload_path(storage, id);
    g_auto(IngotFd) fd = ingot_file_open(path, O_WRONLY, 0, error);
    return fd >= 0 && ingot_file_pwrite(fd, data, size, at, path, error);
}

gboolean storage_upload_finish(Storage *storage, const char *id, const char *name, const IngotDigest *digest,
                               GError **error)
{
    g_autofree char *path = upload_path(storage, id_ok(id) ? id : "-");
    g_autofree char *blob = blob_path(storage, digest);
    IngotDigest found;
    if (!ingot_digest_of_file(path, &found, NULL, error)) {
        return FALSE;
    }
    if (!ingot_digest_equal(&found, digest)) {
        unlink(path);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "the bytes do not have the digest that was given");
        return FALSE;
    }
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    return fd >= 0 && ingot_file_publish(fd, path, blob, error) && link_blob(storage, name, digest, error);
}

gboolean storage_upload_drop(Storage *storage, const char *id, GError **error)
{
    g_autofree char *path = upload_path(storage, id_ok(id) ? id : "-");
    return remove_file(path, "the upload", error);
}

/* --- manifests --- */

static gboolean put_manifest(Storage *storage, const char *name, const char *tag, const void *data, gsize size,
                             const char *media_type, const IngotDigest *subject, const IngotDigest *digest,
                             GError **error)
{
    g_autofree char *blob = blob_path(storage, digest);
    g_autofree char *manifest = link_path(storage, name, "_manifests", digest);
    if (!ingot_file_replace(blob, data, size, 0644, error) || !link_blob(storage, name, digest, error) ||
        !write_small(manifest, media_type, error)) {
        return FALSE;
    }
    if (subject != NULL) {
        char text[INGOT_DIGEST_TEXT_SIZE], own[INGOT_DIGEST_TEXT_SIZE];
        g_autofree char *entry = g_build_filename(hex_of(subject, text), hex_of(digest, own), NULL);
        g_autofree char *referrer = name_path(storage, name, "_referrers", entry);
        if (!write_small(referrer, "", error)) {
            return FALSE;
        }
    }
    g_autofree char *tag_path = name_path(storage, name, "_tags", tag == NULL ? "" : tag);
    g_autofree char *text = ingot_digest_to_text(digest);
    return tag == NULL || write_small(tag_path, text, error);
}

gboolean storage_put_manifest(Storage *storage, const char *name, const char *tag, const void *data, gsize size,
                              const char *media_type, const IngotDigest *subject, IngotDigest *digest, GError **error)
{
    ingot_digest_of(data, size, digest);
    g_mutex_lock(&storage->names);
    gboolean ok = put_manifest(storage, name, tag, data, size, media_type, subject, digest, error);
    g_mutex_unlock(&storage->names);
    return ok;
}

static char *read_small(const char *path)
{
    g_autoptr(GBytes) bytes = ingot_file_read(path, SMALL_MAX, NULL);
    return bytes == NULL ? NULL : g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
}

gboolean storage_find_tag(Storage *storage, const char *name, const char *tag, IngotDigest *digest, GError **error)
{
    g_autofree char *path = name_path(storage, name, "_tags", tag);
    g_autofree char *text = read_small(path);
    return (text != NULL && ingot_digest_parse(text, digest, NULL)) || unknown(error, "the tag");
}

GBytes *storage_manifest(Storage *storage, const char *name, const IngotDigest *digest, char **media_type,
                         GError **error)
{
    g_autofree char *link = link_path(storage, name, "_manifests", digest);
    g_autofree char *type = read_small(link);
    if (type == NULL) {
        unknown(error, "the manifest");
        return NULL;
    }
    g_autofree char *path = blob_path(storage, digest);
    g_autoptr(GBytes) bytes = ingot_file_read(path, MANIFEST_MAX, error);
    if (bytes == NULL) {
        return NULL;
    }
    IngotDigest found;
    ingot_digest_of(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &found);
    if (!ingot_digest_equal(&found, digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: damaged", path);
        return NULL;
    }
    *media_type = g_steal_pointer(&type);
    return g_steal_pointer(&bytes);
}

gboolean storage_remove_tag(Storage *storage, const char *name, const char *tag, GError **error)
{
    g_autofree char *path = name_path(storage, name, "_tags", tag);
    g_mutex_lock(&storage->names);
    gboolean ok = remove_file(path, "the tag", error);
    g_mutex_unlock(&storage->names);
    return ok;
}

/* Its tags go with it, and its place among the referrers of its subject. */
static void remove_mentions(Storage *storage, const char *name, const IngotDigest *digest)
{
    g_auto(GStrv) tags = storage_tags(storage, name, NULL);
    for (guint i = 0; tags != NULL && tags[i] != NULL; i++) {
        IngotDigest named;
        g_autofree char *path = name_path(storage, name, "_tags", tags[i]);
        if (storage_find_tag(storage, name, tags[i], &named, NULL) && ingot_digest_equal(&named, digest)) {
            unlink(path);
        }
    }
    g_autofree char *folder = name_path(storage, name, "_referrers", "");
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *subject;
    while (dir != NULL && (subject = g_dir_read_name(dir)) != NULL) {
        char text[INGOT_DIGEST_TEXT_SIZE];
        g_autofree char *path = g_build_filename(folder, subject, hex_of(digest, text), NULL);
        unlink(path);
    }
}

gboolean storage_remove_manifest(Storage *storage, const char *name, const IngotDigest *digest, GError **error)
{
    g_autofree char *link = link_path(storage, name, "_manifests", digest);
    g_mutex_lock(&storage->names);
    gboolean ok = remove_file(link, "the manifest", error);
    if (ok) {
        remove_mentions(storage, name, digest);
        storage_remove_blob(storage, name, digest, NULL);
    }
    g_mutex_unlock(&storage->names);
    return ok;
}

/* --- lists --- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **sorted(GPtrArray *list)
{
    qsort(list->pdata, list->len, sizeof(gpointer), by_text);
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

static GPtrArray *list_folder(const char *path, const char *prefix)
{
    GPtrArray *list = g_ptr_array_new();
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        /* What a crash left of ingot_file_replace has a name that no tag and no digest has. */
        if (name[0] != '.') {
            g_ptr_array_add(list, g_strconcat(prefix, name, NULL));
        }
    }
    return list;
}

char **storage_tags(Storage *storage, const char *name, GError **error)
{
    g_autofree char *repository = name_path(storage, name, "_manifests", NULL);
    g_autofree char *path = name_path(storage, name, "_tags", NULL);
    if (!g_file_test(repository, G_FILE_TEST_IS_DIR)) {
        unknown(error, "the repository");
        return NULL;
    }
    return sorted(list_folder(path, ""));
}

char **storage_referrers(Storage *storage, const char *name, const IngotDigest *subject)
{
    g_autofree char *path = link_path(storage, name, "_referrers", subject);
    return sorted(list_folder(path, "sha256:"));
}

static void add_repositories(const char *folder, const char *name, GPtrArray *list)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *entry;
    while (dir != NULL && (entry = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, entry, NULL);
        if (strcmp(entry, "_tags") == 0) {
            g_autoptr(GPtrArray) tags = list_folder(path, "");
            g_ptr_array_set_free_func(tags, g_free);
            if (tags->len > 0) {
                g_ptr_array_add(list, g_strdup(name));
            }
        } else if (entry[0] != '_' && g_file_test(path, G_FILE_TEST_IS_DIR)) {
            g_autofree char *child = *name == '\0' ? g_strdup(entry) : g_strdup_printf("%s/%s", name, entry);
            add_repositories(path, child, list);
        }
    }
}

char **storage_repositories(Storage *storage, GError **error)
{
    (void)error;
    g_autofree char *folder = g_build_filename(storage->path, "repositories", NULL);
    GPtrArray *list = g_ptr_array_new();
    add_repositories(folder, "", list);
    return sorted(list);
}
