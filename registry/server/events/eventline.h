/* A line of the log of events (eventlog.h): 16 hex digits, the XXH3-64 of the rest, a space, and a JSON object. A line
 * that is not what was written, to the letter, is no line. */
#pragma once

#include "base/json.h"

/* Without a newline. */
void eventline_append(GString *out, const json_t *object);
/* NULL: damaged. */
json_t *eventline_parse(const char *line, gsize size);
/* A member that counts something; 0 where there is none. */
guint64 eventline_number(const json_t *object, const char *key);
