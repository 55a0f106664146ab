/* What a shell step runs, wherever it runs it, and what its end means. */
#pragma once

#include <glib.h>
#include <jansson.h>

/* Its script's bytes (free them; a NUL follows). */
gboolean step_shell_script(const json_t *step, char **script, gsize *size, GError **error);
/* TRUE where the step expects that exit status. */
gboolean step_shell_expected(const json_t *step, int status, GError **error);
