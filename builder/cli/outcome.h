/* The outcome of a build of several recipes, as a person, a script and a CI server want it; also of one that failed. */
#pragma once

#include "graph/graph.h"

/* To stderr: each stage of each recipe with what became of it, and each recipe, where there are several. */
void outcome_summarize(const Graph *graph, IngotProgress *progress);
/* To stdout: the images that were asked for, one a line. */
void outcome_print(const Graph *graph);
/* To stdout: all of it as one JSON object; failure (may be NULL) is the build's error. */
void outcome_print_json(const Graph *graph, const GError *failure);
/* A JUnit file with one suite for each recipe: its tests, or the error that kept them from running. Its folder is made.
 * A device or a pipe of that name is written to, and stays what it is. */
gboolean outcome_write_junit(const Graph *graph, const char *path, GError **error);
/* The same where nothing could be begun: each recipe that was given (of char *) has that error. */
gboolean outcome_refuse_junit(const GPtrArray *recipes, const GError *failure, const char *path, GError **error);
/* INVALID where such a file can't be written. */
gboolean outcome_check_junit(const char *path, GError **error);
