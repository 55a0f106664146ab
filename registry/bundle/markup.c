#include "bundle/markup.h"

#include <string.h>

#include "bundle/refuse.h"

/* NULL: it is no such text. Free it. */
static char *to_utf8(const char *text, gsize size, gsize *length, GError **error)
{
    static const struct {
        const char *mark;
        gsize size;
        const char *charset;
    } marks[] = {{"\xef\xbb\xbf", 3, NULL}, {"\xff\xfe", 2, "UTF-16LE"}, {"\xfe\xff", 2, "UTF-16BE"}};
    for (guint i = 0; i < G_N_ELEMENTS(marks); i++) {
        gsize skip = marks[i].size;
        if (size < skip || memcmp(text, marks[i].mark, skip) != 0) {
            continue;
        }
        if (marks[i].charset != NULL) {
            return g_convert(text + skip, (gssize)(size - skip), "UTF-8", marks[i].charset, NULL, length, error);
        }
        text += skip;
        size -= skip;
        break;
    }
    *length = size;
    return g_strndup(text, size);
}

gboolean markup_read(const GMarkupParser *parser, const char *text, gsize size, const char *name, gpointer user,
                     GError **error)
{
    g_autoptr(GError) problem = NULL;
    gsize length;
    g_autofree char *utf8 = to_utf8(text, size, &length, &problem);
    g_autoptr(GMarkupParseContext) context =
        g_markup_parse_context_new(parser, G_MARKUP_PREFIX_ERROR_POSITION, user, NULL);
    if (utf8 != NULL && g_markup_parse_context_parse(context, utf8, (gssize)length, &problem) &&
        g_markup_parse_context_end_parse(context, &problem)) {
        return TRUE;
    }
    g_assert(problem != NULL);
    return bundle_refuse(name, error, "%s", problem->message);
}
