/* Kinds of source: one kind, one file, one row in the table of source.c. */
#pragma once

#include "source/source.h"

typedef struct {
    const char *kind; /* "bootstrap" */
    /* Adds to the key's hasher what the source is made from; quick, and without making it. */
    gboolean (*key)(const SourceContext *context, const json_t *source, IngotHasher *hasher, GError **error);
    /* key: the source's key, hex; names what is kept in the cache. */
    Source *(*prepare)(const SourceContext *context, const json_t *source, const char *key, GError **error);
} SourceKind;

extern const SourceKind source_bootstrap;
extern const SourceKind source_image;
extern const SourceKind source_from;
extern const SourceKind source_recipe;

/* A path in the cache's folder for sources, which is made; free it. */
char *source_cache_path(const SourceContext *context, const char *name, GError **error);
/* Adds a text with its end. */
void source_add_text(IngotHasher *hasher, const char *text);
Source *source_new(char *path, const char *format); /* path is stolen */
