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
    /* Paths of the host's files and trees that the step reads (absolute), for its key. GPtrArray of char *.
     * NULL: it reads none. */
    void (*inputs)(const Recipe *recipe, const json_t *step, GPtrArray *paths);
    /* Seconds for which the outcome stands where the recipe says nothing; 0: for ever. NULL: always for ever. */
    guint64 (*max_age)(const json_t *step);
    /* The host's file or folder that the step makes, which must be there for an earlier outcome to stand; or NULL. */
    const char *(*product)(const json_t *step);
} StepKind;

const StepKind *step_kind(const json_t *step);
/* "install nginx": the step's name, or a line made from what it does. Free it. */
char *step_title(const json_t *step);
/* What the recipe says, else the kind. */
guint64 step_max_age(const json_t *step);
gboolean step_run(const StepContext *context, const json_t *step, GError **error);

/* What a shell step runs, wherever it runs it: its script's bytes (free them; a NUL follows), and what its end means.
 */
gboolean step_shell_script(const json_t *step, char **script, gsize *size, GError **error);
gboolean step_shell_expected(const json_t *step, int status, GError **error);
