#include "guest/extract.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"

#define BLOCK (256u << 10) /* bytes read at once */

typedef struct {
    const char *name;   /* of the tar, for messages */
    const char *folder; /* for messages */
    int top;
    struct archive *tar;
    GPtrArray *folders; /* MadeFolder, in the order in which they were made */
    GPtrArray *written; /* paths; may be NULL */
    ExtractSkipFunc skip;
    gpointer user;
} Extract;

/* A new folder can be written to until all is in it. */
typedef struct {
    char *path;
    mode_t mode;
    struct timespec changed;
} MadeFolder;

static void folder_free(gpointer folder)
{
    g_free(((MadeFolder *)folder)->path);
    g_free(folder);
}

static gboolean extract_archive_failed(const Extract *extract, GError **error)
{
    const char *text = archive_error_string(extract->tar);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: what the machine sends is not a tar: %s", extract->name,
                text == NULL ? "it is cut off" : text);
    return FALSE;
}

static gboolean extract_refuse(const Extract *extract, const char *path, const char *why, GError **error)
{
    g_autofree char *shown = g_filename_display_name(path);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: '%s' %s: it is not written", extract->name, shown, why);
    return FALSE;
}

static gboolean extract_errno(const Extract *extract, const char *path, GError **error)
{
    int number = errno;
    g_autofree char *shown = g_filename_display_name(path);
    return ingot_error_set_errno(error, number, "%s/%s", extract->folder, shown);
}

/* The components of a name that stays in the folder; NULL with an error for any other. Empty: the folder itself. */
static char **extract_parts(const Extract *extract, const char *path, GError **error)
{
    if (path == NULL) {
        extract_archive_failed(extract, error);
        return NULL;
    }
    if (*path == '/') {
        extract_refuse(extract, path, "is an absolute name", error);
        return NULL;
    }
    g_auto(GStrv) words = g_strsplit(path, "/", -1);
    g_autoptr(GStrvBuilder) parts = g_strv_builder_new();
    for (guint i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], "..") == 0) {
            extract_refuse(extract, path, "leads out of the folder", error);
            return NULL;
        }
        if (*words[i] != '\0' && strcmp(words[i], ".") != 0) {
            g_strv_builder_add(parts, words[i]);
        }
    }
    return g_strv_builder_end(parts);
}

/* One folder further down, made where it is not there; takes fd over. -1 on failure. */
static int extract_enter(const Extract *extract, int fd, const char *part, const char *path, GError **error)
{
    g_auto(IngotFd) parent = fd;
    if (mkdirat(parent, part, 0755) != 0 && errno != EEXIST) {
        extract_errno(extract, path, error);
        return -1;
    }
    int child = openat(parent, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child < 0 && (errno == ELOOP || errno == ENOTDIR)) {
        extract_refuse(extract, path, "goes through a link or a file", error);
    } else if (child < 0) {
        extract_errno(extract, path, error);
    }
    return child;
}

/* The folder that holds the last of the parts. -1 on failure; close it. */
static int extract_parent(const Extract *extract, char **parts, const char *path, GError **error)
{
    int fd = openat(extract->top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        extract_errno(extract, path, error);
    }
    for (guint i = 0; fd >= 0 && parts[i] != NULL && parts[i + 1] != NULL; i++) {
        fd = extract_enter(extract, fd, parts[i], path, error);
    }
    return fd;
}

/* Makes room for what is no folder. */
static gboolean extract_clear(const Extract *extract, int parent, const char *last, const char *path, GError **error)
{
    if (unlinkat(parent, last, 0) != 0 && errno != ENOENT) {
        return extract_errno(extract, path, error);
    }
    return TRUE;
}

static struct timespec entry_time(struct archive_entry *entry)
{
    return (struct timespec){.tv_sec = archive_entry_mtime(entry), .tv_nsec = archive_entry_mtime_nsec(entry)};
}

static gboolean extract_content(const Extract *extract, int fd, const char *path, guint64 size, GError **error)
{
    const void *block;
    size_t count;
    la_int64_t offset;
    int status;
    while ((status = archive_read_data_block(extract->tar, &block, &count, &offset)) == ARCHIVE_OK) {
        if (!ingot_interrupt_check(error) ||
            (count > 0 && !ingot_file_pwrite(fd, block, count, (guint64)offset, path, error))) {
            return FALSE;
        }
    }
    if (status != ARCHIVE_EOF) {
        return extract_archive_failed(extract, error);
    }
    return ftruncate(fd, (off_t)size) == 0 || extract_errno(extract, path, error);
}

static gboolean extract_file(const Extract *extract, struct archive_entry *entry, int parent, const char *last,
                             const char *path, GError **error)
{
    if (!extract_clear(extract, parent, last, path, error)) {
        return FALSE;
    }
    g_auto(IngotFd) fd = openat(parent, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return extract_errno(extract, path, error);
    }
    struct timespec times[] = {entry_time(entry), entry_time(entry)};
    if (!extract_content(extract, fd, path, (guint64)MAX(archive_entry_size(entry), 0), error)) {
        return FALSE;
    }
    futimens(fd, times);
    return fchmod(fd, archive_entry_perm(entry) & 0777) == 0 || extract_errno(extract, path, error);
}

static gboolean extract_symlink(const Extract *extract, struct archive_entry *entry, int parent, const char *last,
                                const char *path, GError **error)
{
    const char *target = archive_entry_symlink(entry);
    if (target == NULL) {
        return extract_archive_failed(extract, error);
    }
    return extract_clear(extract, parent, last, path, error) &&
           (symlinkat(target, parent, last) == 0 || extract_errno(extract, path, error));
}

static gboolean extract_hardlink(const Extract *extract, struct archive_entry *entry, int parent, const char *last,
                                 const char *path, GError **error)
{
    g_auto(GStrv) parts = extract_parts(extract, archive_entry_hardlink(entry), error);
    if (parts == NULL) {
        return FALSE;
    }
    guint count = g_strv_length(parts);
    g_auto(IngotFd) from = extract_parent(extract, parts, path, error);
    struct stat st;
    if (from < 0) {
        return FALSE;
    }
    if (count == 0 || fstatat(from, parts[count - 1], &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        !(S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))) {
        return extract_refuse(extract, path, "is a hard link to what is not a file of the folder", error);
    }
    struct stat own;
    if (fstatat(parent, last, &own, AT_SYMLINK_NOFOLLOW) == 0 && own.st_dev == st.st_dev && own.st_ino == st.st_ino) {
        return TRUE;
    }
    return extract_clear(extract, parent, last, path, error) &&
           (linkat(from, parts[count - 1], parent, last, 0) == 0 || extract_errno(extract, path, error));
}

static gboolean extract_folder(const Extract *extract, struct archive_entry *entry, int parent, const char *last,
                               const char *path, GError **error)
{
    struct stat st;
    if (fstatat(parent, last, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(st.st_mode)) {
            return TRUE;
        }
        if (!extract_clear(extract, parent, last, path, error)) {
            return FALSE;
        }
    }
    if (mkdirat(parent, last, 0700) != 0) {
        return extract_errno(extract, path, error);
    }
    MadeFolder *made = g_new(MadeFolder, 1);
    *made = (MadeFolder){
        .path = g_strdup(path), .mode = (archive_entry_perm(entry) & 0777) | 0700, .changed = entry_time(entry)};
    g_ptr_array_add(extract->folders, made);
    return TRUE;
}

/* Its name without what means nothing, so that one file has one name. */
static void extract_note(const Extract *extract, const char *path)
{
    if (extract->written != NULL) {
        g_autofree char *whole = g_build_filename(extract->folder, path, NULL);
        g_ptr_array_add(extract->written, g_canonicalize_filename(whole, NULL));
    }
}

/* What is no folder: a file, a link, or a second name of a file. */
static gboolean extract_leaf(const Extract *extract, struct archive_entry *entry, int parent, const char *last,
                             const char *path, GError **error)
{
    gboolean ok = archive_entry_hardlink(entry) != NULL ? extract_hardlink(extract, entry, parent, last, path, error)
                  : archive_entry_filetype(entry) == AE_IFREG
                      ? extract_file(extract, entry, parent, last, path, error)
                      : extract_symlink(extract, entry, parent, last, path, error);
    if (ok) {
        extract_note(extract, path);
    }
    return ok;
}

static gboolean extract_entry(const Extract *extract, struct archive_entry *entry, GError **error)
{
    const char *path = archive_entry_pathname(entry);
    g_auto(GStrv) parts = extract_parts(extract, path, error);
    if (parts == NULL) {
        return FALSE;
    }
    guint count = g_strv_length(parts);
    if (count == 0) {
        return TRUE;
    }
    const char *last = parts[count - 1];
    g_auto(IngotFd) parent = extract_parent(extract, parts, path, error);
    if (parent < 0) {
        return FALSE;
    }
    if (archive_entry_hardlink(entry) != NULL) {
        return extract_leaf(extract, entry, parent, last, path, error);
    }
    switch (archive_entry_filetype(entry)) {
    case AE_IFDIR:
        return extract_folder(extract, entry, parent, last, path, error);
    case AE_IFREG:
    case AE_IFLNK:
        return extract_leaf(extract, entry, parent, last, path, error);
    default:
        if (extract->skip != NULL) {
            g_autofree char *shown = g_filename_display_name(path);
            g_autofree char *message = g_strdup_printf("%s: a device, socket or pipe is left out", shown);
            extract->skip(message, extract->user);
        }
        return TRUE;
    }
}

static gboolean extract_all(const Extract *extract, GError **error)
{
    struct archive_entry *entry;
    int status;
    while ((status = archive_read_next_header(extract->tar, &entry)) == ARCHIVE_OK || status == ARCHIVE_WARN) {
        if (!ingot_interrupt_check(error) || !extract_entry(extract, entry, error)) {
            return FALSE;
        }
    }
    return status == ARCHIVE_EOF || extract_archive_failed(extract, error);
}

/* A folder's mode and time, now that all is in it. A later entry may have taken its place: nothing is done then. */
static gboolean extract_settle_folder(const Extract *extract, const MadeFolder *made, GError **error)
{
    g_auto(GStrv) parts = extract_parts(extract, made->path, error);
    g_auto(IngotFd) parent = parts == NULL ? -1 : extract_parent(extract, parts, made->path, error);
    if (parent < 0) {
        return FALSE;
    }
    g_auto(IngotFd) fd =
        openat(parent, parts[g_strv_length(parts) - 1], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct timespec times[] = {made->changed, made->changed};
    if (fd >= 0 && (futimens(fd, times) != 0 || fchmod(fd, made->mode) != 0)) {
        return extract_errno(extract, made->path, error);
    }
    return TRUE;
}

static gboolean extract_finish(const Extract *extract, GError **error)
{
    for (guint i = extract->folders->len; i-- > 0;) {
        if (!extract_settle_folder(extract, g_ptr_array_index(extract->folders, i), error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean extract_tar(int fd, const char *name, const char *folder, GPtrArray *written, ExtractSkipFunc skip,
                     gpointer user, GError **error)
{
    if (!ingot_file_make_folder(folder, error)) {
        return FALSE;
    }
    g_auto(IngotFd) top = ingot_file_open(folder, O_RDONLY | O_DIRECTORY, 0, error);
    if (top < 0) {
        return FALSE;
    }
    if (lseek(fd, 0, SEEK_SET) != 0) {
        return ingot_error_set_errno(error, errno, "%s", name);
    }
    g_autoptr(GPtrArray) folders = g_ptr_array_new_with_free_func(folder_free);
    Extract extract = {.name = name,
                       .folder = folder,
                       .top = top,
                       .tar = archive_read_new(),
                       .folders = folders,
                       .written = written,
                       .skip = skip,
                       .user = user};
    archive_read_support_format_tar(extract.tar);
    archive_read_set_options(extract.tar, "hdrcharset=BINARY");
    gboolean ok = archive_read_open_fd(extract.tar, fd, BLOCK) == ARCHIVE_OK
                      ? extract_all(&extract, error) && extract_finish(&extract, error)
                      : extract_archive_failed(&extract, error);
    archive_read_free(extract.tar);
    return ok;
}
