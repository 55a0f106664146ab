/* What a guest sends when it is asked for a file or a folder: a line "file MODE" or "folder", then the file's bytes or
 * a tar. It may send anything else. */
#pragma once

#include "guest/extract.h"

typedef struct Download Download;

/* Of what the guest calls `from`, to `to` of this host. `from` is for messages and for the name in a `to` that ends in
 * '/'. */
Download *download_new(const char *from, const char *to);
/* The next bytes: a SessionSink. */
gboolean download_sink(const char *data, gsize size, gpointer download, GError **error);
/* All has come: puts the file in its place, or extracts the tar. written: see extract_tar. */
gboolean download_finish(Download *download, GPtrArray *written, ExtractSkipFunc skip, gpointer user, GError **error);
/* Removes what is not finished. */
void download_free(Download *download);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Download, download_free)
