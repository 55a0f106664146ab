#include "yaml/quoted.h"

#include <string.h>

typedef struct {
    const char *at, *end;
    GString *text;
    gsize fixed; /* bytes of the text that are no blanks at a line's end, whatever they look like */
} Unquoting;

static gboolean is_break(char c)
{
    return c == '\n' || c == '\r';
}

static gboolean is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Passes over line breaks and the blanks around them; returns how many breaks. */
static guint skip_breaks(Unquoting *unquoting)
{
    guint breaks = 0;
    for (; unquoting->at < unquoting->end && (is_blank(*unquoting->at) || is_break(*unquoting->at)); unquoting->at++) {
        gboolean half = *unquoting->at == '\r' && unquoting->at + 1 < unquoting->end && unquoting->at[1] == '\n';
        breaks += is_break(*unquoting->at) && !half;
    }
    return breaks;
}

static void put_breaks(Unquoting *unquoting, guint breaks)
{
    for (guint i = 0; i < breaks; i++) {
        g_string_append_c(unquoting->text, '\n');
    }
}

/* A break is a blank; of several the first goes. */
static void fold(Unquoting *unquoting)
{
    GString *text = unquoting->text;
    while (text->len > unquoting->fixed && is_blank(text->str[text->len - 1])) {
        g_string_truncate(text, text->len - 1);
    }
    guint breaks = skip_breaks(unquoting);
    if (breaks == 1) {
        g_string_append_c(text, ' ');
    }
    put_breaks(unquoting, breaks - 1);
    unquoting->fixed = text->len;
}

/* "\x41", "\u0041", "\U00000041": digits hex digits. */
static gboolean put_number(Unquoting *unquoting, guint digits)
{
    gunichar character = 0;
    for (guint i = 0; i < digits; i++, unquoting->at++) {
        int digit = unquoting->at < unquoting->end ? g_ascii_xdigit_value(*unquoting->at) : -1;
        if (digit < 0) {
            return FALSE;
        }
        character = character << 4 | (gunichar)digit;
    }
    if (!g_unichar_validate(character)) {
        return FALSE;
    }
    g_string_append_unichar(unquoting->text, character);
    return TRUE;
}

/* What follows a backslash. */
static gboolean put_escape(Unquoting *unquoting)
{
    static const char letters[] = "0abtnvfre \"/\\\tN_LP";
    static const gunichar characters[] = {0,   '\a', '\b', '\t', '\n', '\v', '\f', '\r',   0x1b,
                                          ' ', '"',  '/',  '\\', '\t', 0x85, 0xa0, 0x2028, 0x2029};
    G_STATIC_ASSERT(G_N_ELEMENTS(characters) == sizeof letters - 1);
    if (unquoting->at == unquoting->end) {
        return FALSE;
    }
    if (is_break(*unquoting->at)) { /* the break goes, empty lines after it stay */
        put_breaks(unquoting, skip_breaks(unquoting) - 1);
        return TRUE;
    }
    char letter = *unquoting->at++;
    const char *found = memchr(letters, letter, sizeof letters - 1);
    if (found != NULL) {
        g_string_append_unichar(unquoting->text, characters[found - letters]);
        return TRUE;
    }
    return (letter == 'x' && put_number(unquoting, 2)) || (letter == 'u' && put_number(unquoting, 4)) ||
           (letter == 'U' && put_number(unquoting, 8));
}

static gboolean put_next(Unquoting *unquoting, char quote)
{
    if (is_break(*unquoting->at)) {
        fold(unquoting);
        return TRUE;
    }
    char c = *unquoting->at++;
    if (c == '\\' && quote == '"') {
        gboolean ok = put_escape(unquoting);
        unquoting->fixed = unquoting->text->len;
        return ok;
    }
    unquoting->at += c == quote; /* the second of a pair */
    g_string_append_c(unquoting->text, c);
    return TRUE;
}

char *quoted_text(const char *raw, gsize length, char quote, gsize *size)
{
    g_autoptr(GString) text = g_string_sized_new(length);
    Unquoting unquoting = {.at = raw, .end = raw + length, .text = text};
    while (unquoting.at < unquoting.end) {
        if (!put_next(&unquoting, quote)) {
            return NULL;
        }
    }
    *size = text->len;
    return g_string_free(g_steal_pointer(&text), FALSE);
}
