/* The files of boxes that are uploaded, in a folder of their own: a file is ID.part while its bytes come, ID when all
 * are there, and goes when the box was taken in. What a server that ended has left as a part goes when the next begins.
 * Of each it is known for which repository it comes, and whose it is. Thread safe. */
#pragma once

#include <glib.h>

#define BOX_FILES_MAX 256u                        /* of files that may come or wait there */
#define BOX_FILES_OF_USER_MAX (BOX_FILES_MAX / 4) /* of one user's, so that others come to their turn */

typedef struct BoxFiles BoxFiles;
/* data: the folder of all that the server keeps. */
BoxFiles *boxfiles_open(const char *data, GError **error);
void boxfiles_free(BoxFiles *files);

/* Whether it is as random_id (auth/random.h) makes them. */
gboolean boxfiles_is_id(const char *text);

/* For what a file comes; user NULL: nobody is known, and all of these are one. */
typedef struct {
    const char *name, *user;
} BoxFileOwner;
/* A new part, to be written; its descriptor, or -1. most: files that the user may have. EXISTS: another request brings
 * it. INTERRUPTED: too many wait, of all or of the user's. */
int boxfiles_begin(BoxFiles *files, const char *id, const BoxFileOwner *owner, guint most, GError **error);
/* A whole file that a server that ended has left. */
void boxfiles_adopt(BoxFiles *files, const char *id, const BoxFileOwner *owner);
/* From now on the file counts as so long, whatever has come of it. */
void boxfiles_reserve(BoxFiles *files, const char *id, guint64 bytes);
/* All bytes have come, and are on the disk. fd stays the caller's. */
gboolean boxfiles_end(BoxFiles *files, const char *id, int fd, GError **error);
/* What the files take that are there or come, in bytes: those of a repository; name NULL: all. */
guint64 boxfiles_bytes(BoxFiles *files, const char *name);
/* Takes away the part, or the whole file. */
void boxfiles_drop_part(BoxFiles *files, const char *id);
void boxfiles_drop(BoxFiles *files, const char *id);
/* Where it is; free it. */
char *boxfiles_path(const BoxFiles *files, const char *id);
/* The ids of the files that wait. Free it. */
char **boxfiles_list(const BoxFiles *files);
