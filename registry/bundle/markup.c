#include "bundle/markup.h"

#include <string.h>

char *markup_to_utf8(const char *text, gsize size, gsize *length, GError **error)
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
