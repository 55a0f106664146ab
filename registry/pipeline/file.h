/* A file of pipelines: YAML, with the files of public keys that it names. The registry checks what it means. */
#pragma once

#include <jansson.h>

#include "yaml/yaml.h"

typedef struct {
    char *path, *text; /* of the file */
    YamlTree *tree;
    Diagnostics *diagnostics; /* what is wrong with it */
} PipelineFile;
PipelineFile *pipeline_file_read(const char *path, GError **error);
void pipeline_file_free(PipelineFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PipelineFile, pipeline_file_free)

/* Its value; the texts of the files that `keys:` lists, found beside it, stand in their places, and for each file of
 * `require: {tests: …}` its {"name", "text"}. */
json_t *pipeline_file_json(PipelineFile *file, GError **error);
/* Adds a mistake that the registry found at a JSON pointer. */
void pipeline_file_mistake(PipelineFile *file, const char *pointer, const char *message);
