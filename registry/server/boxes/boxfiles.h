/* The files of boxes that are uploaded, in a folder of their own: a file is ID.part while its bytes come, ID when all
 * are there, and goes when the box was taken in. What a server that ended has left as a part goes when the next begins.
 * Thread safe. */
#pragma once

#include <glib.h>

#define BOX_FILES_MAX 256u /* of files that may wait there */

typedef struct BoxFiles BoxFiles;
/* data: the folder of all that the server keeps. */
BoxFiles *boxfiles_open(const char *data, GError **error);
void boxfiles_free(BoxFiles *files);

/* Whether it is as random_id (auth/random.h) makes them. */
gboolean boxfiles_is_id(const char *text);

/* A new part, to be written; its descriptor, or -1. EXISTS: another request brings it. LIMIT: too many wait. */
int boxfiles_begin(BoxFiles *files, const char *id, GError **error);
/* All bytes have come, and are on the disk. fd stays the caller's. */
gboolean boxfiles_end(BoxFiles *files, const char *id, int fd, GError **error);
/* What all files take that are there or come, in bytes. */
guint64 boxfiles_bytes(const BoxFiles *files);
/* Takes away the part, or the whole file. */
void boxfiles_drop_part(BoxFiles *files, const char *id);
void boxfiles_drop(BoxFiles *files, const char *id);
/* Where it is; free it. */
char *boxfiles_path(const BoxFiles *files, const char *id);
/* The ids of the files that wait. Free it. */
char **boxfiles_list(const BoxFiles *files);
