/* Asks: what a cache asks an upstream, each as a fetch (fetches.h).
 *
 * This is the one door to an upstream: nothing goes there that could be another path, or comes here under a name that
 * none may have. Each upstream has threads of its own, its look-ups others than its copies: neither a slow upstream nor
 * a long copy keeps anybody from asking something short. A copy that nobody reads or wants any more is given up after a
 * while, sooner where another one waits for its place. Thread safe. */
#pragma once

#include "server/mirror/cold.h"
#include "server/mirror/copy.h"
#include "server/mirror/fetches.h"
#include "server/mirror/upstream.h"

typedef struct Asks Asks;
/* folder: for what is on its way. upstreams: of Upstream; the list becomes theirs. remember: seconds for which what is
 * not there, or failed, is not asked for again. */
Asks *asks_new(Storage *storage, const char *folder, GPtrArray *upstreams, guint remember);
void asks_free(Asks *asks);
const GPtrArray *asks_upstreams(const Asks *asks);

typedef struct Ask Ask;
/* Does what is asked; copy is ready for it. */
typedef gboolean (*AskFunc)(const Ask *ask, Copy *copy, char **result, GError **error);

struct Ask {
    Asks *asks;
    Upstream *upstream;
    const char *what; /* for the log, and with name and reference what makes it the same question */
    AskFunc function;
    char *name, *reference; /* reference: a tag or a digest; NULL: neither is needed */
    OciDigest named;        /* where the reference is a digest */
    Cold *cold;             /* of a blob that is to be copied: what comes of it; NULL: a look-up */
};

/* reference: a tag, a digest, or NULL. NULL: no upstream is for that name, or it is none. */
Ask *ask_new(Asks *asks, const char *name, const char *reference, const char *what, AskFunc function);
/* A blob is to be copied. */
Ask *ask_new_copy(Asks *asks, const char *name, const char *digest, const char *what, AskFunc function);
/* What concerns the upstream, not one name. */
Ask *ask_new_of(Asks *asks, Upstream *upstream, const char *what, AskFunc function);
void ask_free(gpointer ask);
/* What the repository is called there. */
const char *ask_there(const Ask *ask);
/* Waits for `wait` microseconds at most, counted from when the fetch began, and not at all where too many wait already.
 * The ask is taken; NULL: ABSENT. */
FetchOutcome ask_get(Ask *ask, gint64 wait, char **result);
/* The same; *cold (unref it): what the copy brings that is waited for, which the ask may have found running; NULL:
 * there is none. */
FetchOutcome ask_get_copy(Ask *ask, gint64 wait, char **result, Cold **cold);
