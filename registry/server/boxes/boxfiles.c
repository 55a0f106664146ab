#include "server/boxes/boxfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "server/auth/random.h"

#define FOLDER "box-uploads"
#define PART ".part"

struct BoxFiles {
    char *folder;
    GMutex lock;       /* of what follows */
    GHashTable *known; /* id -> KnownFile */
};

typedef struct {
    char *name, *user;
    guint64 bytes;
} KnownFile;

static void known_free(gpointer data)
{
    KnownFile *file = data;
    g_free(file->name);
    g_free(file->user);
    g_free(file);
}

/* With the lock. */
static void known_add(BoxFiles *files, const char *id, const BoxFileOwner *owner, guint64 bytes)
{
    KnownFile *file = g_new0(KnownFile, 1);
    *file = (KnownFile){g_strdup(owner->name), g_strdup(owner->user), bytes};
    g_hash_table_replace(files->known, g_strdup(id), file);
}

gboolean boxfiles_is_id(const char *text)
{
    return strlen(text) == RANDOM_ID_SIZE && strspn(text, "0123456789abcdef") == RANDOM_ID_SIZE;
}

/* --- the folder --- */

static char *part_path(const BoxFiles *files, const char *id)
{
    return g_strconcat(files->folder, "/", id, PART, NULL);
}

char *boxfiles_path(const BoxFiles *files, const char *id)
{
    return g_build_filename(files->folder, id, NULL);
}

/* Whoever writes one holds its lock. */
static gboolean is_left(const char *path)
{
    g_auto(IngotFd) fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void drop_parts(const BoxFiles *files)
{
    g_autoptr(GDir) folder = g_dir_open(files->folder, 0, NULL);
    const char *name;
    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        g_autofree char *path = g_build_filename(files->folder, name, NULL);
        if (g_str_has_suffix(name, PART) && is_left(path)) {
            unlink(path);
        }
    }
}

BoxFiles *boxfiles_open(const char *data, GError **error)
{
    BoxFiles *files = g_new0(BoxFiles, 1);
    files->folder = g_build_filename(data, FOLDER, NULL);
    files->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, known_free);
    g_mutex_init(&files->lock);
    if (g_mkdir_with_parents(files->folder, 0700) != 0) {
        ingot_error_set_errno(error, errno, "%s", files->folder);
        boxfiles_free(files);
        return NULL;
    }
    drop_parts(files);
    return files;
}

void boxfiles_free(BoxFiles *files)
{
    if (files != NULL) {
        g_hash_table_unref(files->known);
        g_mutex_clear(&files->lock);
        g_free(files->folder);
        g_free(files);
    }
}

char **boxfiles_list(const BoxFiles *files)
{
    g_autoptr(GStrvBuilder) ids = g_strv_builder_new();
    g_autoptr(GDir) folder = g_dir_open(files->folder, 0, NULL);
    const char *name;
    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        if (boxfiles_is_id(name)) {
            g_strv_builder_add(ids, name);
        }
    }
    return g_strv_builder_end(ids);
}

/* --- a file --- */

/* With the lock. */
static guint count_of(const BoxFiles *files, const char *user)
{
    guint count = 0;
    GHashTableIter iter;
    gpointer file;
    g_hash_table_iter_init(&iter, files->known);
    while (g_hash_table_iter_next(&iter, NULL, &file)) {
        count += g_strcmp0(((const KnownFile *)file)->user, user) == 0;
    }
    return count;
}

guint64 boxfiles_bytes(BoxFiles *files, const char *name)
{
    guint64 bytes = 0;
    GHashTableIter iter;
    gpointer value;
    g_mutex_lock(&files->lock);
    g_hash_table_iter_init(&iter, files->known);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const KnownFile *file = value;
        bytes += name == NULL || strcmp(file->name, name) == 0 ? file->bytes : 0;
    }
    g_mutex_unlock(&files->lock);
    return bytes;
}

void boxfiles_reserve(BoxFiles *files, const char *id, guint64 bytes)
{
    g_mutex_lock(&files->lock);
    KnownFile *file = g_hash_table_lookup(files->known, id);
    if (file != NULL) {
        file->bytes = bytes;
    }
    g_mutex_unlock(&files->lock);
}

void boxfiles_adopt(BoxFiles *files, const char *id, const BoxFileOwner *owner)
{
    struct stat about;
    g_autofree char *path = boxfiles_path(files, id);
    guint64 bytes = stat(path, &about) == 0 ? (guint64)about.st_size : 0;
    g_mutex_lock(&files->lock);
    known_add(files, id, owner, bytes);
    g_mutex_unlock(&files->lock);
}

/* With the lock. */
static gboolean may_begin(const BoxFiles *files, const char *user, guint most, GError **error)
{
    if (g_hash_table_size(files->known) >= BOX_FILES_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "%u boxes wait to be taken in: try again later",
                    BOX_FILES_MAX);
        return FALSE;
    }
    if (count_of(files, user) >= most) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED,
                    "%u boxes of %s come, or wait to be taken in: try again later", most,
                    user == NULL ? "those who are not known" : user);
        return FALSE;
    }
    return TRUE;
}

static int open_part(const char *path, GError **error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "another request brings this box");
    } else if (fd < 0) {
        ingot_error_set_errno(error, errno, "%s", path);
    } else {
        flock(fd, LOCK_EX | LOCK_NB); /* it is new: nobody has it */
    }
    return fd;
}

int boxfiles_begin(BoxFiles *files, const char *id, const BoxFileOwner *owner, guint most, GError **error)
{
    g_autofree char *path = part_path(files, id);
    g_mutex_lock(&files->lock);
    int fd = may_begin(files, owner->user, most, error) ? open_part(path, error) : -1;
    if (fd >= 0) {
        known_add(files, id, owner, 0);
    }
    g_mutex_unlock(&files->lock);
    return fd;
}

gboolean boxfiles_end(BoxFiles *files, const char *id, int fd, GError **error)
{
    g_autofree char *part = part_path(files, id), *path = boxfiles_path(files, id);
    return (fsync(fd) == 0 && rename(part, path) == 0) || ingot_error_set_errno(error, errno, "%s", path);
}

static void drop_file(BoxFiles *files, const char *id, const char *path)
{
    g_mutex_lock(&files->lock);
    unlink(path);
    g_hash_table_remove(files->known, id);
    g_mutex_unlock(&files->lock);
}

void boxfiles_drop_part(BoxFiles *files, const char *id)
{
    g_autofree char *path = part_path(files, id);
    drop_file(files, id, path);
}

void boxfiles_drop(BoxFiles *files, const char *id)
{
    g_autofree char *path = boxfiles_path(files, id);
    drop_file(files, id, path);
}
