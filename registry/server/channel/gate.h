/* Gates: what must be true of a digest before a channel may name it. One file for each, one table (gates.c). */
#pragma once

#include <ingot/digest.h>
#include <jansson.h>

#include "server/storage/storage.h"

typedef struct {
    Storage *storage;
    const char *name, *channel;
    IngotDigest digest;
    const char *caller;    /* who promotes; NULL: not known */
    gint64 now;            /* seconds */
    const GPtrArray *from; /* of char *: the channels before it */
} GateCase;

typedef struct {
    gboolean passed;
    char *why, *mend; /* what was found, and what would satisfy the gate (NULL: nothing is to be done); free them */
} GateVerdict;

typedef struct {
    const char *name;
    /* The settings of a pipeline file (NULL: none are given); INVALID, and path names the member that is wrong. */
    gboolean (*check)(const json_t *settings, GString *path, GError **error);
    gboolean (*judge)(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error);
} Gate;

/* NULL: there is no such gate. */
const Gate *gate_find(const char *name);
/* All names, ended by NULL. */
const char *const *gate_names(void);
