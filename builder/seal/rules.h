/* What the seal removes, as a table. The man page has the same one (ingot-recipe(5), SEAL): a test compares them.
 *
 * A row is left out where the recipe keeps its word; several rows may have one word. */
#pragma once

#include "system/firstboot.h"

typedef struct {
    const char *word;            /* as in seal.keep */
    const char *what;            /* for people */
    const char *const *remove;   /* globs of files and trees that go; may be NULL */
    const char *const *truncate; /* globs of files that stay, empty; may be NULL */
    const char *needs;           /* a glob: the row counts only where it matches; NULL: everywhere */
    /* Says further whether the row counts, and `only` says for people when it does; NULL: it does. */
    gboolean (*applies)(SystemTree *tree, gboolean *applies, GError **error);
    const char *only;
    const FirstBootFile *remake; /* what makes it again, installed where the row has removed something; NULL: nothing */
    const char *again;           /* who makes it again, for people; NULL: nobody needs it */
} SealRule;

extern const SealRule seal_rules[]; /* ended by a NULL word */
