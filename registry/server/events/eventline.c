#include "server/events/eventline.h"

#include <string.h>
#include <xxhash.h>

#define SUM_SIZE 17 /* characters that a line begins with */

static char *line_sum(const char *text, gsize size)
{
    return g_strdup_printf("%016" G_GINT64_MODIFIER "x ", (guint64)XXH3_64bits(text, size));
}

void eventline_append(GString *out, const json_t *object)
{
    g_autofree char *json = ingot_json_canonical(object), *sum = line_sum(json, strlen(json));
    g_string_append_printf(out, "%s%s", sum, json);
}

json_t *eventline_parse(const char *line, gsize size)
{
    if (size <= SUM_SIZE) {
        return NULL;
    }
    g_autofree char *sum = line_sum(line + SUM_SIZE, size - SUM_SIZE);
    return memcmp(line, sum, SUM_SIZE) == 0 ? ingot_json_parse(line + SUM_SIZE, size - SUM_SIZE, "line", NULL) : NULL;
}

guint64 eventline_number(const json_t *object, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(object, key));
    return number > 0 ? (guint64)number : 0;
}
