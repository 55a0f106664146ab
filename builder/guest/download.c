#include "guest/download.h"

#include <errno.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/nameless.h"
#include "base/newfile.h"

#define HEAD_MAX 32u /* bytes of the first line */
#define BLOCK 4096u  /* a run of zeros of this size becomes a hole */

struct Download {
    char *from, *to;
    GString *head; /* the first line, until its end has come */
    gboolean started, folder;
    mode_t mode;
    char *path;         /* what becomes of it */
    IngotNewFile *file; /* NULL: a folder */
    IngotFd tar;        /* of a folder */
    guint64 size;
};

Download *download_new(const char *from, const char *to)
{
    Download *download = g_new0(Download, 1);
    download->from = g_strdup(from);
    download->to = g_strdup(to);
    download->head = g_string_new(NULL);
    download->tar = -1;
    return download;
}

void download_free(Download *download)
{
    if (download != NULL) {
        ingot_fd_clear(&download->tar);
        ingot_newfile_free(download->file);
        g_string_free(download->head, TRUE);
        g_free(download->from);
        g_free(download->to);
        g_free(download->path);
        g_free(download);
    }
}

static gboolean download_nonsense(const Download *download, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: the machine's answer makes no sense", download->from);
    return FALSE;
}

/* A file that gets its name when it is whole, or the tar in one that never has a name. */
static gboolean download_open(Download *download, GError **error)
{
    g_autofree char *base = g_path_get_basename(download->from);
    gboolean into = !download->folder && g_str_has_suffix(download->to, "/");
    download->path = into ? g_strconcat(download->to, base, NULL) : g_strdup(download->to);
    g_autofree char *parent = g_path_get_dirname(download->path);
    struct stat st;
    if (!download->folder && stat(download->path, &st) == 0 && S_ISDIR(st.st_mode)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: is a folder; 'to: %s/' puts the file into it",
                    download->path, download->to);
        return FALSE;
    }
    if (!ingot_file_make_folder(download->folder ? download->path : parent, error)) {
        return FALSE;
    }
    if (download->folder) {
        download->tar = ingot_nameless_open(download->path, error);
        return download->tar >= 0;
    }
    download->file = ingot_newfile_open(download->path, 0600, error);
    return download->file != NULL;
}

static int download_fd(const Download *download)
{
    return download->folder ? download->tar : ingot_newfile_fd(download->file);
}

static gboolean download_start(Download *download, GError **error)
{
    const char *head = download->head->str;
    guint64 mode = 0;
    download->folder = strcmp(head, "folder") == 0;
    download->started = TRUE;
    if (!download->folder && !(g_str_has_prefix(head, "file ") && strspn(head + 5, "01234567") == strlen(head + 5) &&
                               (mode = g_ascii_strtoull(head + 5, NULL, 8)) <= 07777)) {
        return download_nonsense(download, error);
    }
    download->mode = (mode_t)mode & 0777;
    return download_open(download, error);
}

static gboolean download_is_zero(const char *data, gsize size)
{
    return *data == '\0' && memcmp(data, data + 1, size - 1) == 0;
}

static gboolean download_write(Download *download, const char *data, gsize size, GError **error)
{
    while (size > 0) {
        gsize part = MIN(BLOCK - download->size % BLOCK, size);
        if (!download_is_zero(data, part) &&
            !ingot_file_pwrite(download_fd(download), data, part, download->size, download->path, error)) {
            return FALSE;
        }
        download->size += part;
        data += part;
        size -= part;
    }
    return TRUE;
}

gboolean download_sink(const char *data, gsize size, gpointer user, GError **error)
{
    Download *download = user;
    if (!download->started) {
        const char *newline = memchr(data, '\n', size);
        gsize length = newline == NULL ? size : (gsize)(newline - data);
        if (download->head->len + length > HEAD_MAX) {
            return download_nonsense(download, error);
        }
        g_string_append_len(download->head, data, (gssize)length);
        if (newline == NULL) {
            return TRUE;
        }
        if (!download_start(download, error)) {
            return FALSE;
        }
        data += length + 1;
        size -= length + 1;
    }
    return download_write(download, data, size, error);
}

static gboolean download_publish(const Download *download, GError **error)
{
    int fd = ingot_newfile_fd(download->file);
    if (fchmod(fd, download->mode) != 0 || fsync(fd) != 0) {
        return ingot_error_set_errno(error, errno, "%s", download->path);
    }
    return ingot_newfile_name(download->file, error) && ingot_file_sync_folder(download->path, error);
}

gboolean download_finish(Download *download, GPtrArray *written, ExtractSkipFunc skip, gpointer user, GError **error)
{
    if (!download->started) {
        return download_nonsense(download, error);
    }
    if (ftruncate(download_fd(download), (off_t)download->size) != 0) {
        return ingot_error_set_errno(error, errno, "%s", download->path);
    }
    if (download->folder) {
        return extract_tar(download->tar, download->from, download->path, written, skip, user, error);
    }
    if (!download_publish(download, error)) {
        return FALSE;
    }
    if (written != NULL) {
        g_ptr_array_add(written, g_canonicalize_filename(download->path, NULL));
    }
    return TRUE;
}
