#include "vagrant/version.h"

#include <string.h>

#define ALNUM G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS

/* Words of those characters with single dots between them. */
static gboolean is_dotted(const char *text, const char *characters)
{
    for (;;) {
        gsize length = strspn(text, characters);
        if (length == 0 || (text[length] != '.' && text[length] != '\0')) {
            return FALSE;
        }
        if (text[length] == '\0') {
            return TRUE;
        }
        text += length + 1;
    }
}

gboolean vagrant_version_is_readable(const char *version)
{
    const char *dash = strchr(version, '-');
    g_autofree char *front = dash == NULL ? g_strdup(version) : g_strndup(version, (gsize)(dash - version));
    gsize digits = strspn(front, G_CSET_DIGITS);
    return digits > 0 && (front[digits] == '\0' || front[digits] == '.') && is_dotted(front, ALNUM) &&
           (dash == NULL || is_dotted(dash + 1, ALNUM "-"));
}

/* A run of digits or of letters; length 0: a number that is not written, 0. */
typedef struct {
    const char *text;
    gsize length;
    gboolean is_word;
} Segment;

/* A dash stands for the word "pre". */
static Segment segment_next(const char **rest)
{
    const char *at = *rest;
    while (*at == '.') {
        at++;
    }
    Segment segment = {.text = at};
    if (*at == '-') {
        segment = (Segment){.text = "pre", .length = strlen("pre"), .is_word = TRUE};
        *rest = at + 1;
        return segment;
    }
    segment.length = strspn(at, G_CSET_DIGITS);
    if (segment.length == 0) {
        segment.length = strspn(at, G_CSET_A_2_Z G_CSET_a_2_z);
        segment.is_word = segment.length > 0;
    }
    *rest = at + segment.length;
    while (!segment.is_word && segment.length > 0 && *segment.text == '0') {
        segment.text++;
        segment.length--;
    }
    return segment;
}

static int text_compare(const Segment *a, const Segment *b)
{
    int order = memcmp(a->text, b->text, MIN(a->length, b->length));
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static int segment_compare(const Segment *a, const Segment *b)
{
    if (a->is_word != b->is_word) {
        return a->is_word ? -1 : 1;
    }
    if (!a->is_word && a->length != b->length) {
        return a->length < b->length ? -1 : 1;
    }
    return text_compare(a, b);
}

int vagrant_version_compare(const char *a, const char *b)
{
    int order = 0;
    while (order == 0 && (*a != '\0' || *b != '\0')) {
        const Segment one = segment_next(&a), two = segment_next(&b);
        order = segment_compare(&one, &two);
    }
    return order;
}
