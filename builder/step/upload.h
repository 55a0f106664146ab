/* An upload: one tar with all owners and modes in it, and the script that lays it into a system whose root it runs in.
 *
 * Nothing but what is uploaded is changed: folders that are there keep their owner and mode, links to folders are
 * followed, and nothing is done recursively. A file replaces what has its name, also a link (as rsync does); a single
 * file at once, so that a reader sees the old one or the new one. What arrives depends on the source's content and the
 * recipe alone, not on the umask, owner or time that the source happens to have on this host: modes by upload_mode, one
 * fixed time. Extended attributes and ACLs are not uploaded. */
#pragma once

#include <glib.h>
#include <sys/types.h>

#define UPLOAD_TIME 946684800 /* 2000-01-01: the mtime of all that is uploaded */

/* The mode that a file or folder of this mode (with its type) gets; mode -1: the recipe gives none.
 *
 * A file has the recipe's mode, else 0755 if its owner may run it and 0644 if not, with the source's setuid, setgid and
 * sticky bits. A new folder has 0755, or the recipe's permissions with the right to enter wherever there is one to
 * read. The keys of the cache hold just this. */
mode_t upload_mode(mode_t source, int mode);

typedef struct {
    const char *from;  /* a file, a folder, or a link to one */
    const char *to;    /* absolute; a folder's content goes into it; a file becomes it, or goes into it after '/' */
    int mode;          /* -1: none */
    const char *owner; /* "user:group", names or numbers of the target; NULL: root:root */
} UploadOptions;

typedef struct {
    int tar; /* an unnamed file */
    guint64 size;
    char *script; /* for root's /bin/sh in the target, with the tar as stdin; needs GNU tar there */
} Upload;
Upload *step_upload_new(const UploadOptions *options, GError **error);
void step_upload_free(Upload *upload);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Upload, step_upload_free)
