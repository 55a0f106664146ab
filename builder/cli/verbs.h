/* The verbs of ingot-build, one file each; main.c has the table with their help. */
#pragma once

#include <glib.h>

gboolean verb_build(int argc, char **argv, GError **error);
gboolean verb_validate(int argc, char **argv, GError **error);
gboolean verb_run(int argc, char **argv, GError **error);

extern const char verb_build_help[];
extern const char verb_validate_help[];
extern const char verb_run_help[];
