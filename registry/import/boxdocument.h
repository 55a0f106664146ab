/* One document of a site of boxes: read from a file, or fetched into memory. */
#pragma once

#include <glib.h>

typedef struct {
    const char *url;   /* http, https or file */
    const char *token; /* shown to the URL's host; NULL: none */
    gsize limit;       /* bytes */
} BoxDocumentWish;

/* *at: the URL that it came from in the end (free it). DENIED: 401 or 403; NOT_FOUND: any other refusal
 * that will not pass. name: the URL for
 * messages. */
GBytes *box_document(const BoxDocumentWish *wish, const char *name, char **at, GError **error);
