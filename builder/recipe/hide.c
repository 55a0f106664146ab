#include "recipe/hide.h"

#include <string.h>

static int by_start(gconstpointer a, gconstpointer b)
{
    gsize one = (*(YamlNode *const *)a)->start, other = (*(YamlNode *const *)b)->start;
    return (one > other) - (one < other);
}

static gboolean stands_in_quotes(const char *text, const YamlNode *scalar)
{
    char before = scalar->start > 0 ? text[scalar->start - 1] : '\0';
    return (before == '"' || before == '\'') && text[scalar->end] == before;
}

/* The first line's indentation and the break at the end stay, so that the text is still YAML; how many lines there were
 * does not. */
static void hide_one(GString *out, const char *text, const YamlNode *scalar)
{
    gsize start = scalar->start, end = scalar->end;
    while (start < end && g_ascii_isspace(text[start])) {
        start++;
    }
    while (end > start && g_ascii_isspace(text[end - 1])) {
        end--;
    }
    gboolean block = memchr(text + scalar->start, '\n', start - scalar->start) != NULL ||
                     (scalar->start > 0 && text[scalar->start - 1] == '\n');
    g_string_append_len(out, text + scalar->start, (gssize)(start - scalar->start));
    g_string_append(out, stands_in_quotes(text, scalar) || block ? "***" : "\"***\"");
    g_string_append_len(out, text + end, (gssize)(scalar->end - end));
}

char *hide_scalars(const char *text, const GPtrArray *scalars)
{
    g_autoptr(GPtrArray) sorted = g_ptr_array_new();
    GString *out = g_string_new(NULL);
    gsize at = 0;
    for (guint i = 0; i < scalars->len; i++) {
        const YamlNode *scalar = g_ptr_array_index(scalars, i);
        if (scalar->document == text && scalar->end > scalar->start) {
            g_ptr_array_add(sorted, (gpointer)scalar);
        }
    }
    g_ptr_array_sort(sorted, by_start);
    for (guint i = 0; i < sorted->len; i++) {
        const YamlNode *scalar = g_ptr_array_index(sorted, i);
        if (scalar->start >= at) { /* an alias names a scalar a second time */
            g_string_append_len(out, text + at, (gssize)(scalar->start - at));
            hide_one(out, text, scalar);
            at = scalar->end;
        }
    }
    g_string_append(out, text + at);
    return g_string_free(out, FALSE);
}
