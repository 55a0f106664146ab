/* Steps: what each kind is. One kind, one file, one row in the table of step.c.
 *
 * Plan and cache need no more than this; what a running step may ask of its host is in step/context.h. */
#pragma once

#include <glib.h>
#include <jansson.h>

typedef struct StepContext StepContext;

/* A file or tree of the host that a step reads: where it is, and its name in the recipe, which the key has. */
typedef struct {
    char *path, *name;
} StepInput;

typedef struct {
    const char *kind; /* "shell" */
    /* What it does, as a text of any length, for a step without a name; NULL: the kind's word. Free it. */
    char *(*title)(const json_t *step);
    /* Adds what it reads, by step_input_add; shown is the same step with the paths that the recipe has. NULL: nothing.
     */
    void (*inputs)(const json_t *step, const json_t *shown, GPtrArray *inputs);
    /* Seconds for which its outcome is valid where the recipe says nothing; 0: for ever. NULL: always for ever. */
    guint64 (*max_age)(const json_t *step);
    /* The host's file or folder that it makes, without which an earlier outcome is not valid, or NULL. */
    const char *(*product)(const json_t *step);
    gboolean (*run)(StepContext *context, const json_t *step, GError **error);
    /* The same on the disk of a machine that does not run; NULL: it needs a running one. */
    gboolean (*run_offline)(StepContext *context, const json_t *step, GError **error);
} StepKind;

const StepKind *step_kind(const json_t *step);
/* "install nginx": the step's name, or the first line of what it does, at most 60 bytes of it, cut between characters.
 * Free it. */
char *step_title(const json_t *step);
/* What it reads: GPtrArray of StepInput. Unref it. */
GPtrArray *step_inputs(const json_t *step, const json_t *shown);
void step_input_add(GPtrArray *inputs, const char *path, const char *name); /* copies both */
/* What the recipe says, else the kind. */
guint64 step_max_age(const json_t *step);
const char *step_product(const json_t *step); /* or NULL */
