#include "bundle/refuse.h"

#include <ingot/error.h>

static char *make_printable(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *shown = g_string_new(NULL);
    for (const char *next = valid; *next != '\0'; next = g_utf8_next_char(next)) {
        gunichar character = g_utf8_get_char(next);
        g_string_append_unichar(shown, g_unichar_isprint(character) ? character : 0xfffd);
    }
    return g_string_free(shown, FALSE);
}

gboolean bundle_refuse(const char *name, GError **error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *raw = g_strdup_vprintf(format, arguments), *why = make_printable(raw);
    va_end(arguments);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s%s%s", name == NULL ? "" : name, name == NULL ? "" : ": ",
                why);
    return FALSE;
}
