/* Gates: what must be true of a digest before a channel may name it. One file for each, one table (gates.c). */
#pragma once

#include <ingot/digest.h>
#include <jansson.h>

#include "server/auth/accounts.h"
#include "server/storage/storage.h"

typedef struct {
    Storage *storage;
    const char *name, *channel;
    IngotDigest digest;
    const char *caller;      /* who promotes; NULL: not known */
    gint64 now;              /* seconds */
    const GPtrArray *from;   /* of char *: the channels before it */
    const json_t *require;   /* what the pipeline requires of every build; NULL: nothing */
    struct Database *ledger; /* that has secrets (follow/ledger.h); NULL: none */
    Accounts *accounts;      /* of those who may approve; NULL: there are none */
    /* Sees to it that what is attached of that kind is here, with its bytes, where an upstream has more; FALSE: nobody
     * can say for now. NULL: what is here is all. */
    gboolean (*bring)(const char *kind, gpointer user, GError **error);
    gpointer bring_user;
} GateCase;

typedef struct {
    gboolean passed;
    char *why;  /* what was found: a clause about the image, without a capital and a full stop; free it */
    char *mend; /* what would satisfy the gate, as an order; NULL where it has passed; free it */
} GateVerdict;

typedef struct {
    const char *name;
    /* The settings of a pipeline file (NULL: none are given); INVALID, and path names the member that is wrong. */
    gboolean (*check)(const json_t *settings, GString *path, GError **error);
    gboolean (*judge)(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error);
} Gate;

/* "HOST/NAME@DIGEST", for the command that would satisfy a gate. Free it. */
char *gate_image(const GateCase *its);

/* NULL: there is no such gate. */
const Gate *gate_find(const char *name);
/* All names, ended by NULL. */
const char *const *gate_names(void);
