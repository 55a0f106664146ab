/* The tar of an upload: entries with the modes, owners and times that upload.h promises, in an unnamed file. */
#pragma once

#include <glib.h>
#include <sys/stat.h>

typedef struct UploadTar UploadTar;
UploadTar *uploadtar_new(int mode, const char *owner, GError **error);
void uploadtar_free(UploadTar *tar);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(UploadTar, uploadtar_free)

/* path is for messages; st is what path is. Two names of one file become two files, and holes stay holes. A file that
 * is not as long as st says is an error. */
gboolean uploadtar_file(UploadTar *tar, int fd, const struct stat *st, const char *path, const char *name,
                        GError **error);
gboolean uploadtar_folder(UploadTar *tar, const struct stat *st, const char *path, const char *name, GError **error);
gboolean uploadtar_link(UploadTar *tar, const char *path, const char *name, const char *target, GError **error);
/* Hands the file over: close it. */
gboolean uploadtar_finish(UploadTar *tar, int *fd, guint64 *size, GError **error);
