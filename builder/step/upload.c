#include "step/upload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "step/uploadtar.h"

mode_t upload_mode(mode_t source, int mode)
{
    if (S_ISDIR(source)) {
        mode_t readable = mode < 0 ? 0755 : (mode_t)mode & 0777;
        return readable | (readable & 0444) >> 2;
    }
    if (mode >= 0) {
        return (mode_t)mode & 07777;
    }
    return ((source & S_IXUSR) != 0 ? 0755 : 0644) | (source & 07000);
}

void step_upload_free(Upload *upload)
{
    if (upload != NULL) {
        ingot_fd_clear(&upload->tar);
        g_free(upload->script);
        g_free(upload);
    }
}

/* --- the tar --- */

static gboolean upload_add(UploadTar *tar, int parent, const char *own, const char *path, const char *name,
                           GError **error);

/* In the order of their names, whatever order the host's file system has. */
static gboolean upload_add_content(UploadTar *tar, int folder, const char *path, const char *name, GError **error)
{
    struct dirent **found = NULL;
    int count = scandirat(folder, ".", &found, NULL, alphasort);
    if (count < 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    gboolean ok = TRUE;
    for (int i = 0; i < count; i++) {
        const char *own = found[i]->d_name;
        if (ok && strcmp(own, ".") != 0 && strcmp(own, "..") != 0) {
            g_autofree char *child = g_build_filename(path, own, NULL);
            g_autofree char *child_name = g_strconcat(name, "/", own, NULL);
            ok = upload_add(tar, folder, own, child, child_name, error);
        }
        free(found[i]);
    }
    free(found);
    return ok;
}

static gboolean upload_add_link(UploadTar *tar, const char *path, const char *name, GError **error)
{
    g_autofree char *target = g_file_read_link(path, error);
    return target != NULL && uploadtar_link(tar, path, name, target, error);
}

/* A file or folder that is opened: nothing can be put in its place while it is read. */
static gboolean upload_add_opened(UploadTar *tar, int fd, const struct stat *st, const char *path, const char *name,
                                  GError **error)
{
    if (S_ISDIR(st->st_mode)) {
        return uploadtar_folder(tar, st, path, name, error) && upload_add_content(tar, fd, path, name, error);
    }
    return uploadtar_file(tar, fd, st, path, name, error);
}

static gboolean upload_add(UploadTar *tar, int parent, const char *own, const char *path, const char *name,
                           GError **error)
{
    struct stat st;
    if (fstatat(parent, own, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    if (S_ISLNK(st.st_mode)) {
        return upload_add_link(tar, path, name, error);
    }
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: a device, socket or pipe: only files, folders and links can be uploaded", path);
        return FALSE;
    }
    g_auto(IngotFd) fd = openat(parent, own, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    return upload_add_opened(tar, fd, &st, path, name, error);
}

/* --- what lays it into the target --- */

#define EXTRACT                                                                                                        \
    "tar -x -p --same-owner --keep-directory-symlink --no-overwrite-dir --warning=no-unknown-keyword "                 \
    "--warning=no-timestamp -f - -C "

/* tar would give what belongs to an unknown name to the number that stands beside it: unknown names are an error. */
static char *owner_check(const char *owner)
{
    if (owner == NULL) {
        return g_strdup("");
    }
    g_autofree char *quoted = g_shell_quote(owner);
    return g_strdup_printf(
        "ingot_owner=$ingot_place/owner; : >\"$ingot_owner\" && chown %s \"$ingot_owner\" || exit 1; "
        "rm -f \"$ingot_owner\"\n",
        quoted);
}

static char *folder_script(const UploadOptions *options, mode_t mode)
{
    g_autofree char *check = owner_check(options->owner);
    g_autofree char *to = g_shell_quote(options->to);
    g_autofree char *owner = options->owner == NULL ? NULL : g_shell_quote(options->owner);
    g_autofree char *own = owner == NULL ? g_strdup("") : g_strdup_printf(" && chown %s \"$ingot_to\"", owner);
    return g_strdup_printf("%singot_to=%s\n"
                           "[ -d \"$ingot_to\" ] || { mkdir -p -- \"$(dirname -- \"$ingot_to\")\" && "
                           "mkdir -- \"$ingot_to\" && chmod %o \"$ingot_to\"%s; } || exit 1\n" EXTRACT
                           "\"$ingot_to\"\n",
                           check, to, (guint)mode, own);
}

static char *file_script(const UploadOptions *options, const char *temporary)
{
    g_autofree char *check = owner_check(options->owner);
    g_autofree char *base = g_path_get_basename(options->from);
    g_autofree char *path =
        g_str_has_suffix(options->to, "/") ? g_strconcat(options->to, base, NULL) : g_strdup(options->to);
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *to = g_shell_quote(path), *in = g_shell_quote(folder);
    return g_strdup_printf("%singot_to=%s ingot_in=%s\n"
                           "[ ! -d \"$ingot_to\" ] || { echo \"$ingot_to is a folder; a / behind it puts the file into "
                           "it\"; exit 1; }\n"
                           "mkdir -p -- \"$ingot_in\" && " EXTRACT "\"$ingot_in\" && "
                           "mv -f -T -- \"$ingot_in/%s\" \"$ingot_to\" || "
                           "{ ingot_status=$?; rm -f -- \"$ingot_in/%s\"; exit $ingot_status; }\n",
                           check, to, in, temporary, temporary);
}

/* --- the whole --- */

static gboolean upload_fill(Upload *upload, const UploadOptions *options, GError **error)
{
    struct stat st;
    /* The one place where a link is followed. Not to be blocked by a pipe. */
    g_auto(IngotFd) fd = ingot_file_open(options->from, O_RDONLY | O_NONBLOCK, 0, error);
    if (fd < 0) {
        return FALSE;
    }
    if (fstat(fd, &st) != 0) {
        return ingot_error_set_errno(error, errno, "%s", options->from);
    }
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: a device, socket or pipe: only files, folders and links can be uploaded", options->from);
        return FALSE;
    }
    g_autofree char *temporary = g_strdup_printf(".ingot-new-%08x", g_random_int());
    gboolean folder = S_ISDIR(st.st_mode);
    upload->script =
        folder ? folder_script(options, upload_mode(st.st_mode, options->mode)) : file_script(options, temporary);
    g_autoptr(UploadTar) tar = uploadtar_new(options->mode, options->owner, error);
    return tar != NULL &&
           (folder ? upload_add_content(tar, fd, options->from, ".", error)
                   : uploadtar_file(tar, fd, &st, options->from, temporary, error)) &&
           uploadtar_finish(tar, &upload->tar, &upload->size, error);
}

Upload *step_upload_new(const UploadOptions *options, GError **error)
{
    g_autoptr(Upload) upload = g_new0(Upload, 1);
    upload->tar = -1;
    return upload_fill(upload, options, error) ? g_steal_pointer(&upload) : NULL;
}
