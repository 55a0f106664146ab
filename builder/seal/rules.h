/* What the seal removes, as a table: one row for each thing that a recipe can keep by name. */
#pragma once

#include <glib.h>

typedef struct {
    const char *name;            /* as in seal.keep */
    const char *const *remove;   /* globs of files and trees that go */
    const char *const *truncate; /* globs of files that stay, empty */
} SealRule;

extern const SealRule seal_rules[]; /* ended by a NULL name */
