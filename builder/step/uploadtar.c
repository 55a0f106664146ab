#include "step/uploadtar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "step/upload.h"

#define BLOCK (256u << 10) /* bytes read at once */

struct UploadTar {
    int fd;
    int mode;
    char *user, *group;
    struct archive *tar;
};

static gboolean uploadtar_failed(const UploadTar *tar, const char *path, GError **error)
{
    int number = archive_errno(tar->tar);
    if (number == ENOSPC || number == EDQUOT) {
        return ingot_error_set_errno(error, number, "%s: copying it for the upload", path);
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s", path, archive_error_string(tar->tar));
    return FALSE;
}

void uploadtar_free(UploadTar *tar)
{
    if (tar != NULL) {
        archive_write_free(tar->tar);
        ingot_fd_clear(&tar->fd);
        g_free(tar->user);
        g_free(tar->group);
        g_free(tar);
    }
}

UploadTar *uploadtar_new(int mode, const char *owner, GError **error)
{
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(error);
    g_autofree char *path = workdir == NULL ? NULL : ingot_workdir_file(workdir, "upload.tar");
    if (path == NULL) {
        return NULL;
    }
    g_autoptr(UploadTar) tar = g_new0(UploadTar, 1);
    g_auto(GStrv) names = g_strsplit(owner == NULL ? "root:root" : owner, ":", 2);
    tar->mode = mode;
    tar->user = g_strdup(names[0]);
    tar->group = g_strdup(names[0] == NULL || names[1] == NULL ? "root" : names[1]);
    tar->tar = archive_write_new();
    /* The file loses its name with the folder, and lives on by its descriptor. */
    tar->fd = ingot_file_open(path, O_RDWR | O_CREAT | O_EXCL, 0600, error);
    if (tar->fd < 0) {
        return NULL;
    }
    /* pax has names of any length and holes; names go over as the bytes that they are. */
    archive_write_set_format_pax_restricted(tar->tar);
    if (archive_write_set_options(tar->tar, "hdrcharset=BINARY") != ARCHIVE_OK ||
        archive_write_open_fd(tar->tar, tar->fd) != ARCHIVE_OK) {
        uploadtar_failed(tar, path, error);
        return NULL;
    }
    return g_steal_pointer(&tar);
}

/* A name, or a number as the target's tar takes it: one that stands without a name. */
static void entry_set_owner(const UploadTar *tar, struct archive_entry *entry)
{
    guint64 number;
    if (g_ascii_string_to_unsigned(tar->user, 10, 0, G_MAXUINT32, &number, NULL)) {
        archive_entry_set_uid(entry, (la_int64_t)number);
    } else {
        archive_entry_set_uname(entry, tar->user);
    }
    if (g_ascii_string_to_unsigned(tar->group, 10, 0, G_MAXUINT32, &number, NULL)) {
        archive_entry_set_gid(entry, (la_int64_t)number);
    } else {
        archive_entry_set_gname(entry, tar->group);
    }
}

static struct archive_entry *entry_new(const UploadTar *tar, const char *name, mode_t type, mode_t mode)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, mode);
    archive_entry_set_mtime(entry, UPLOAD_TIME, 0);
    archive_entry_set_size(entry, 0);
    entry_set_owner(tar, entry);
    return entry;
}

/* Writes the header and frees the entry. */
static gboolean entry_write(const UploadTar *tar, struct archive_entry *entry, const char *path, GError **error)
{
    int status = archive_write_header(tar->tar, entry);
    archive_entry_free(entry);
    return status == ARCHIVE_OK || uploadtar_failed(tar, path, error);
}

gboolean uploadtar_folder(UploadTar *tar, const struct stat *st, const char *path, const char *name, GError **error)
{
    return entry_write(tar, entry_new(tar, name, AE_IFDIR, upload_mode(st->st_mode, tar->mode)), path, error);
}

gboolean uploadtar_link(UploadTar *tar, const char *path, const char *name, const char *target, GError **error)
{
    struct archive_entry *entry = entry_new(tar, name, AE_IFLNK, 0777);
    archive_entry_set_symlink(entry, target);
    return entry_write(tar, entry, path, error);
}

/* --- files --- */

/* From where on the file has data: its size where there is none any more. Negative: the file system can't tell. */
static off_t file_next_data(int fd, off_t from, off_t size)
{
    off_t data = lseek(fd, from, SEEK_DATA);
    return data < 0 && errno == ENXIO ? size : data;
}

/* A file system may be wrong about what was written a moment ago. */
static gboolean file_is_zero(int fd, off_t from, off_t to)
{
    g_autofree char *buffer = g_malloc(BLOCK);
    while (from < to && ingot_interrupt_check(NULL)) {
        ssize_t got = pread(fd, buffer, (gsize)MIN((off_t)BLOCK, to - from), from);
        if (got <= 0 || *buffer != 0 || memcmp(buffer, buffer + 1, (gsize)got - 1) != 0) {
            return FALSE;
        }
        from += got;
    }
    return from >= to;
}

/* FALSE: the file system can't tell, or what it says is not so. */
static gboolean entry_add_data(struct archive_entry *entry, int fd, off_t size)
{
    for (off_t at = 0; at < size;) {
        off_t data = file_next_data(fd, at, size);
        if (data < at || !file_is_zero(fd, at, MIN(data, size))) {
            return FALSE;
        }
        if (data >= size) {
            return TRUE;
        }
        at = lseek(fd, data, SEEK_HOLE);
        if (at <= data) {
            return FALSE;
        }
        archive_entry_sparse_add_entry(entry, data, MIN(at, size) - data);
    }
    return TRUE;
}

/* Tells the entry where the file has data, if it has holes. Without that, all of it is data. */
static void entry_add_holes(struct archive_entry *entry, int fd, const struct stat *st)
{
    if ((guint64)st->st_blocks * 512 >= (guint64)st->st_size) {
        return;
    }
    if (!entry_add_data(entry, fd, st->st_size)) {
        archive_entry_sparse_clear(entry);
    } else if (archive_entry_sparse_count(entry) == 0) {
        archive_entry_sparse_add_entry(entry, st->st_size, 0);
    }
}

static gboolean file_changed(const char *path, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: it changed while it was read for the upload", path);
    return FALSE;
}

static gboolean file_add_content(const UploadTar *tar, int fd, guint64 size, const char *path, GError **error)
{
    g_autofree char *buffer = g_malloc(BLOCK);
    for (guint64 done = 0; done < size;) {
        ssize_t got = pread(fd, buffer, MIN(BLOCK, size - done), (off_t)done);
        if (got < 0) {
            return ingot_error_set_errno(error, errno, "%s", path);
        }
        if (got == 0) {
            return file_changed(path, error);
        }
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        if (archive_write_data(tar->tar, buffer, (gsize)got) < 0) {
            return uploadtar_failed(tar, path, error);
        }
        done += (guint64)got;
    }
    struct stat now;
    return (fstat(fd, &now) == 0 && (guint64)now.st_size == size) || file_changed(path, error);
}

gboolean uploadtar_file(UploadTar *tar, int fd, const struct stat *st, const char *path, const char *name,
                        GError **error)
{
    struct archive_entry *entry = entry_new(tar, name, AE_IFREG, upload_mode(st->st_mode, tar->mode));
    archive_entry_set_size(entry, st->st_size);
    entry_add_holes(entry, fd, st);
    return entry_write(tar, entry, path, error) && file_add_content(tar, fd, (guint64)st->st_size, path, error);
}

gboolean uploadtar_finish(UploadTar *tar, int *fd, guint64 *size, GError **error)
{
    if (archive_write_close(tar->tar) != ARCHIVE_OK) {
        return uploadtar_failed(tar, "the upload", error);
    }
    off_t end = lseek(tar->fd, 0, SEEK_END);
    if (end < 0) {
        return ingot_error_set_errno(error, errno, "the upload");
    }
    *size = (guint64)end;
    *fd = g_steal_fd(&tar->fd);
    return TRUE;
}
