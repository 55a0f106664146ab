/* Kinds of source: each is one file, which says what its keys are and what it does, and one line in recipe/kinds.h. */
#pragma once

#include "recipe/kinds.h"
#include "source/source.h"

typedef struct {
    const char *kind; /* "bootstrap" */
    /* Resolves the source without making it, and adds to the key's hasher what it depends on. Returns what prepare has
     * to know, or NULL with an error; freed by free_resolved. */
    gpointer (*identify)(const SourceContext *context, const json_t *source, IngotHasher *hasher, GError **error);
    void (*free_resolved)(gpointer resolved);
    /* What source_look gives. */
    SourceLook (*look)(const SourceContext *context, const json_t *source, gconstpointer resolved);
    Source *(*prepare)(const SourceContext *context, const json_t *source, gconstpointer resolved, GError **error);
    /* What source_allow asks; NULL: nobody has to allow it. */
    gboolean (*allow)(const SourceContext *context, gconstpointer resolved, GError **error);
} SourceKind;

#define KIND(name) extern const SourceKind source_##name;
RECIPE_SOURCES(KIND)
#undef KIND

/* Where sources are made: the cache, or the work folder of a build that keeps nothing, or can't, which is said. */
const char *source_home(const SourceContext *context);
/* Where what has that name is kept, if it is: in the cache, or the work folder of a build that keeps nothing. Free it.
 */
char *source_kept(const SourceContext *context, const char *name);
/* The same, in a folder that is made unless only a plan is wanted. */
char *source_cache_path(const SourceContext *context, const char *name, GError **error);
/* Where it is to be made, in a folder that is there; free it. */
char *source_place(const SourceContext *context, const char *name, GError **error);
/* FOLDER.lock, for the one who makes what is kept in the folder. Where it may not be written to, so that nothing can be
 * made there, a lock that only keeps others from making it: *reads is set to why, and whoever finds nothing kept fails
 * with that. NULL: an error. */
IngotLock *source_lock(const char *folder, GError **reads, GError **error);
/* Adds a text with its end. */
void source_add_text(IngotHasher *hasher, const char *text);
Source *source_new(char *path, const char *format); /* path is stolen */
