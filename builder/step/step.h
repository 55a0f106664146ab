/* Steps: one kind, one file, one row in the table of step.c. */
#pragma once

#include "guest/guest.h"
#include "recipe/recipe.h"

typedef struct {
    Guest *guest;
    const Recipe *recipe;
    GuestLineFunc line; /* output, not yet masked */
    gpointer user_data;
} StepContext;

typedef struct {
    const char *kind; /* "shell" */
    gboolean (*run)(const StepContext *context, const json_t *step, GError **error);
    /* Paths of the host's files and trees that the step reads (absolute), for its key. GPtrArray of char *. */
    void (*inputs)(const Recipe *recipe, const json_t *step, GPtrArray *paths);
} StepKind;

const StepKind *step_kind(const json_t *step);
/* "install nginx": the step's name, or a line made from what it does. Free it. */
char *step_title(const json_t *step);
gboolean step_run(const StepContext *context, const json_t *step, GError **error);
