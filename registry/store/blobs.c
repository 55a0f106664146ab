/* Blobs: written to tmp/, made whole, then renamed to their digest. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/process.h"
#include "image/frames.h"
#include "store/blobs.h"
#include "store/frametables.h"
#include "store/hold.h"
#include "store/layout.h"

#define COMPARE_SIZE (1u << 18) /* bytes */

/* A half-written blob whose writer is gone has no lock; partial downloads stay for the next pull. */
static void sweep(const IngotStore *store)
{
    g_autofree char *folder = layout_path(store, "tmp");
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_auto(IngotFd) fd =
            g_str_has_prefix(name, "blob-") ? g_open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0) : -1;
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
            unlink(path);
        }
    }
}

IngotStore *ingot_store_open_lazy(const char *path)
{
    IngotStore *store = g_new0(IngotStore, 1);
    store->path = g_canonicalize_filename(path, NULL);
    store->holds = g_ptr_array_new_with_free_func(hold_free);
    g_mutex_init(&store->lock);
    sweep(store);
    return store;
}

IngotStore *ingot_store_open(const char *path, GError **error)
{
    g_autoptr(IngotStore) store = ingot_store_open_lazy(path);
    return layout_ensure(store, error) ? g_steal_pointer(&store) : NULL;
}

void ingot_store_free(IngotStore *store)
{
    if (store != NULL) {
        g_ptr_array_unref(store->holds);
        g_mutex_clear(&store->lock);
        g_free(store->path);
        g_free(store);
    }
}

const char *ingot_store_path(const IngotStore *store)
{
    return store->path;
}

char *ingot_store_blob_path(IngotStore *store, const IngotDigest *digest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    return g_build_filename(store->path, "blobs", "sha256", text + strlen("sha256:"), NULL);
}

gboolean ingot_store_has(IngotStore *store, const IngotDigest *digest)
{
    g_autofree char *path = ingot_store_blob_path(store, digest);
    return ingot_file_is_regular(path);
}

GBytes *ingot_store_read(IngotStore *store, const IngotDigest *digest, gsize limit, GError **error)
{
    g_autofree char *path = ingot_store_blob_path(store, digest);
    g_autoptr(GBytes) bytes = ingot_file_read_regular(path, limit, error);
    if (bytes == NULL) {
        return NULL;
    }
    IngotDigest found;
    ingot_digest_of(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &found);
    if (!ingot_digest_equal(&found, digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: damaged: its bytes do not have the digest of its name", path);
        return NULL;
    }
    return g_steal_pointer(&bytes);
}

static IngotStoreFile *file_new(char *path, int fd)
{
    IngotStoreFile *file = g_new0(IngotStoreFile, 1);
    file->path = path;
    file->fd = fd;
    return file;
}

static void file_free(IngotStoreFile *file)
{
    if (file->fd >= 0) {
        close(file->fd);
    }
    g_free(file->path);
    g_free(file);
}

static gboolean make_temporary_folder(IngotStore *store, GError **error)
{
    g_autofree char *folder = layout_path(store, "tmp");
    return layout_ensure(store, error) && ingot_file_make_folder(folder, error);
}

/* One that a sweep of another process has taken between its making and its lock is made again. */
IngotStoreFile *ingot_store_create(IngotStore *store, GError **error)
{
    while (make_temporary_folder(store, error)) {
        g_autofree char *path = layout_path(store, "tmp/blob-XXXXXX");
        g_auto(IngotFd) fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0644);
        if (fd < 0) {
            ingot_error_set_errno(error, errno, "%s", path);
            return NULL;
        }
        if (!ingot_lock_wait(fd, FALSE, path, error)) {
            unlink(path);
            return NULL;
        }
        if (ingot_file_is_named(fd, path)) {
            return file_new(g_steal_pointer(&path), g_steal_fd(&fd));
        }
    }
    return NULL;
}

static char *partial_path(IngotStore *store, const IngotDigest *digest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    g_autofree char *name = g_strdup_printf("tmp/partial-%s", text + strlen("sha256:"));
    return layout_path(store, name);
}

void ingot_store_drop_partial(IngotStore *store, const IngotDigest *digest)
{
    g_autofree char *path = partial_path(store, digest);
    g_auto(IngotFd) fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && ingot_file_is_named(fd, path)) {
        unlink(path);
    }
}

IngotStoreFile *ingot_store_resume(IngotStore *store, const IngotDigest *digest, gboolean *fresh, GError **error)
{
    g_autofree char *path = partial_path(store, digest);
    for (;;) {
        if (!make_temporary_folder(store, error)) {
            return NULL;
        }
        g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_NOFOLLOW, 0644, error);
        if (fd < 0) {
            return NULL;
        }
        if (!ingot_lock_wait(fd, TRUE, path, error)) {
            return NULL;
        }
        struct stat held;
        /* The one that we waited for may have made it a blob: then the name is gone, or another file. */
        if (ingot_file_is_named(fd, path) && fstat(fd, &held) == 0) {
            *fresh = held.st_size == 0;
            IngotStoreFile *file = file_new(g_steal_pointer(&path), g_steal_fd(&fd));
            file->resumes = TRUE;
            return file;
        }
        ingot_fd_clear(&fd); /* it may be the blob by now, which this lock would keep from being held */
        if (ingot_store_hold(store, digest)) {
            g_autofree char *text = ingot_digest_to_text(digest);
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s is in the store already", text);
            return NULL;
        }
    }
}

/* FALSE with an error only where the process is to end. */
static gboolean files_are_equal(int a, int b, GError **error)
{
    struct stat x, y;
    if (fstat(a, &x) != 0 || fstat(b, &y) != 0 || x.st_size != y.st_size) {
        return FALSE;
    }
    g_autofree guint8 *one = g_malloc(COMPARE_SIZE), *other = g_malloc(COMPARE_SIZE);
    for (guint64 at = 0, size = (guint64)x.st_size; at < size; at += COMPARE_SIZE) {
        gsize count = MIN(COMPARE_SIZE, size - at);
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        if (!ingot_file_pread(a, one, count, at, "", NULL) || !ingot_file_pread(b, other, count, at, "", NULL) ||
            memcmp(one, other, count) != 0) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Gives the file the blob's name, unless another process has changed what is there (*again). */
static gboolean adopt_rename(IngotStore *store, IngotStoreFile *file, const IngotDigest *digest, int there,
                             gboolean *again, GError **error)
{
    g_autofree char *path = ingot_store_blob_path(store, digest);
    g_autoptr(IngotLock) lock = layout_lock(store, error);
    if (lock == NULL) {
        return FALSE;
    }
    *again = there >= 0 ? !ingot_file_is_named(there, path) : ingot_file_is_regular(path) && access(path, R_OK) == 0;
    if (*again) {
        return TRUE;
    }
    if (rename(file->path, path) != 0) {
        return ingot_error_set_errno(error, errno, "%s: cannot rename to %s", file->path, path);
    }
    hold_drop(store, digest);
    /* A download is locked for itself alone until now; nobody removes a blob while the store's lock is held. */
    flock(file->fd, LOCK_SH);
    hold_add(store, digest, g_steal_fd(&file->fd));
    return TRUE;
}

/* A blob that is there and whole stays, since others may hold it; a damaged one is replaced. */
static gboolean adopt(IngotStore *store, IngotStoreFile *file, const IngotDigest *digest, GError **error)
{
    if (fsync(file->fd) != 0) {
        return ingot_error_set_errno(error, errno, "%s: cannot sync", file->path);
    }
    gboolean again = TRUE;
    while (again) {
        g_autoptr(GError) interrupted = NULL;
        int there = hold_blob(store, digest);
        if (there >= 0 && files_are_equal(there, file->fd, &interrupted)) {
            unlink(file->path);
            return TRUE;
        }
        if (interrupted != NULL) {
            g_propagate_error(error, g_steal_pointer(&interrupted));
            return FALSE;
        }
        if (!adopt_rename(store, file, digest, there, &again, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean ingot_store_adopt(IngotStore *store, IngotStoreFile *file, const IngotDigest *digest, GError **error)
{
    gboolean ok = adopt(store, file, digest, error);
    if (!ok && !file->resumes) {
        unlink(file->path);
    }
    file_free(file);
    return ok;
}

void ingot_store_discard(IngotStoreFile *file)
{
    if (file != NULL) {
        unlink(file->path);
        file_free(file);
    }
}

void ingot_store_suspend(IngotStoreFile *file)
{
    if (file != NULL) {
        file_free(file);
    }
}

/* Whether the blob is there, with these very bytes. */
static gboolean blob_holds(IngotStore *store, const IngotDescriptor *blob, const void *data)
{
    struct stat st;
    int fd = hold_blob(store, &blob->digest);
    if (fd < 0 || fstat(fd, &st) != 0 || (guint64)st.st_size != blob->size) {
        return FALSE;
    }
    g_autofree void *bytes = g_malloc(MAX(blob->size, 1));
    return ingot_file_pread(fd, bytes, blob->size, 0, "", NULL) && memcmp(bytes, data, blob->size) == 0;
}

gboolean ingot_store_put(IngotStore *store, const void *data, gsize size, IngotDescriptor *out, GError **error)
{
    ingot_digest_of(data, size, &out->digest);
    out->size = size;
    if (blob_holds(store, out, data)) {
        return TRUE;
    }
    IngotStoreFile *file = ingot_store_create(store, error);
    if (file == NULL) {
        return FALSE;
    }
    if (!ingot_file_pwrite(file->fd, data, size, 0, file->path, error)) {
        ingot_store_discard(file);
        return FALSE;
    }
    return ingot_store_adopt(store, file, &out->digest, error);
}

IngotPacked *ingot_store_pack(IngotStore *store, IngotBlocks *blocks, const IngotPackOptions *options, GError **error)
{
    IngotStoreFile *file = ingot_store_create(store, error);
    if (file == NULL) {
        return NULL;
    }
    g_autoptr(IngotFrames) frames = frametables_open(store);
    g_autoptr(IngotPacked) packed = frames_pack(blocks, options, frames, file->fd, file->path, error);
    if (packed == NULL) {
        ingot_store_discard(file);
        return NULL;
    }
    if (!ingot_store_adopt(store, file, &packed->digest, error)) {
        return NULL;
    }
    frametables_keep(store, &packed->digest, packed->table);
    ingot_store_keep_frames(store, &packed->digest, packed->index);
    return g_steal_pointer(&packed);
}
