/* Reading the tree's archive: entries by their clean path, errors with the archive's name. */
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <glib.h>

typedef struct {
    struct archive *archive;
    struct archive_entry *entry; /* the current one; belongs to the archive */
    char *path;                  /* its path without "./" and slashes around, "" for the root */
    char *name;                  /* of the archive, for errors */
    gboolean ended;              /* the whole archive has been read */
} TarReader;

TarReader *tar_open(const char *path, GError **error);
void tar_close(TarReader *tar);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TarReader, tar_close)

/* On to the next entry. FALSE at the end (tar->ended) or with an error. */
gboolean tar_next(TarReader *tar, GError **error);
/* The current entry's bytes with a NUL behind them; at most limit bytes. */
char *tar_text(TarReader *tar, gsize limit, GError **error);
/* Up to size bytes more of the current entry; 0 at its end, -1 with an error. */
gssize tar_read(TarReader *tar, void *buffer, gsize size, GError **error);

/* A member's name as this program uses it, newly allocated. */
char *tar_clean(const char *name);
