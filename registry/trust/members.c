#include "trust/members.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"

gboolean members_refuse(const char *where, GError **error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *why = g_strdup_vprintf(format, arguments), *line = ingot_text_line(why);
    va_end(arguments);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: %s", where, line);
    return FALSE;
}

gboolean members_check(const json_t *object, const char *where, const char *const *known, GError **error)
{
    const char *member;
    json_t *value;
    if (!json_is_object(object)) {
        return members_refuse(where, error, "an object is expected");
    }
    json_object_foreach((json_t *)object, member, value)
    {
        if (!g_strv_contains(known, member)) {
            g_autofree char *list = g_strjoinv(", ", (char **)known);
            return members_refuse(where, error, "unknown member '%s' (known: %s)", member, list);
        }
    }
    return TRUE;
}

const char *members_text(const json_t *object, const char *where, const char *member, GError **error)
{
    const char *text = json_string_value(json_object_get(object, member));
    if (text == NULL || *text == '\0') {
        members_refuse(where, error, "'%s' is missing, or not a text", member);
        return NULL;
    }
    return text;
}
