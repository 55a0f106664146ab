/* Kinds of tests: one function each, one row in the table of kinds.c. */
#pragma once

#include "guest/guest.h"

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
} CheckKind;

const CheckKind *check_kind(const json_t *test);
