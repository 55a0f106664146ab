/* Kinds of tests: each is one file, which says what its keys are and what it does, and one line in recipe/kinds.h. */
#pragma once

#include "guest/guest.h"
#include "recipe/kinds.h"

typedef struct {
    Machine *machine;
    Guest *guest;
} CheckContext;

typedef struct {
    const char *kind;
    /* TRUE: passed. FALSE with *reason: failed (free it). FALSE with an error: could not be run. */
    gboolean (*run)(const CheckContext *context, const json_t *test, char **reason, GError **error);
    /* "port 80", for reports. Free it. */
    char *(*title)(const json_t *test);
    /* The guest's port that it speaks to from outside. NULL: it speaks to none. */
    guint16 (*port)(const json_t *test);
} CheckKind;

#define KIND(name) extern const CheckKind check_##name;
RECIPE_TESTS(KIND)
#undef KIND

const CheckKind *check_kind(const json_t *test);

/* --- what kinds are made of --- */

const char *check_text(const json_t *test, const char *key); /* of a test's key, or NULL */
/* Runs a script in the machine, within the test's time; *output gets the end of what it printed. Free it. */
gboolean check_script(const CheckContext *context, const json_t *test, const char *script, int *status, char **output,
                      GError **error);
/* Whether the pattern is found in what need not be UTF-8. */
gboolean check_matches(const char *pattern, const char *bytes, gsize size);
/* A condition that may still come true while the machine settles: tried until it does or the test's time is over. */
gboolean check_wait(const CheckContext *context, const json_t *test, const char *condition, gboolean *came,
                    GError **error);
