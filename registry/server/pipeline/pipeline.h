/* Pipelines: the channels of a name, each with the channels before it and its gates.
 *
 * A pipeline counts for the names that its pattern fits, as in scopes: '*' stands for any run of characters. The most
 * specific pattern wins: the name itself, then the one with the longest text before its first '*'. A name that no
 * pattern fits has the default: dev, test and prod, in that order, without rules. A pipeline never changes once it is
 * made, so threads share it. Pure functions. */
#pragma once

#include <glib.h>
#include <jansson.h>

typedef struct {
    char *name;
    GPtrArray *from; /* of char *: a digest must stand, or have stood, in one of these; empty: in none */
    json_t *gates;   /* array of words and of maps with one member: NAME, or {NAME: SETTINGS} */
    json_t *rollout; /* {"percent" or "groups", "wait", "stop_after_failures", "barriers"}; NULL: all at once */
} PipelineChannel;

typedef struct {
    char *pattern;       /* NULL: the default, nobody applied it */
    GPtrArray *channels; /* of PipelineChannel *, in the order of the file */
    json_t *require;     /* {"tests": [{"name", "text"}], "outputs": []}; NULL: nothing */
    json_t *body;        /* as it was applied, without its pattern */
} Pipeline;

/* The pipeline of a body that pipelines_check has passed. Its parts are taken as they are. */
Pipeline *pipeline_new(const char *pattern, const json_t *body);
Pipeline *pipeline_default(void);
Pipeline *pipeline_ref(Pipeline *pipeline);
void pipeline_unref(Pipeline *pipeline);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pipeline, pipeline_unref)
/* Whether both are of one pattern and say the same. */
gboolean pipeline_equal(const Pipeline *one, const Pipeline *other);

/* NULL: the pipeline has no such channel. */
const PipelineChannel *pipeline_channel(const Pipeline *pipeline, const char *name);
/* Whether it was applied, and has such a channel: no push, and no copy from elsewhere, moves that. */
gboolean pipeline_guards(const Pipeline *pipeline, const char *name);
/* The names of its channels; free the array with g_free, the names are the pipeline's. */
const char **pipeline_names(const Pipeline *pipeline);

/* A gate's entry: its name, and its settings (borrowed; NULL for a word alone). NULL: the entry is neither. */
const char *pipeline_gate(const json_t *entry, const json_t **settings);
/* Whether a rollback asks the gate as well. */
gboolean pipeline_gate_always(const json_t *settings);

/* Among pipelines (of Pipeline *) the one that counts for a name; NULL: none fits. Borrowed. */
Pipeline *pipelines_find(const GPtrArray *pipelines, const char *name);

/* --- checking what is to be applied --- */

typedef struct {
    char *path; /* JSON pointer (RFC 6901) to the value that is wrong, or that holds what is */
    char *message;
} PipelineMistake;

/* Checks one gate's settings (NULL: none were given). FALSE: path has got the member of them that is wrong. */
typedef gboolean (*PipelineGateCheck)(const char *gate, const json_t *settings, GString *path, GError **error);
typedef struct {
    const char *const *names; /* of all gates */
    PipelineGateCheck check;
} PipelineGates;

/* All mistakes in {"pipelines": {PATTERN: {...}}}: an array of PipelineMistake, empty where there is none. */
GArray *pipelines_check(const json_t *document, const PipelineGates *gates);
