#include "yaml/diagnostics.h"

#include <ingot/error.h>
#include <string.h>

#include "base/secrets.h"

/* Nobody reads more, and a hostile file must not make megabytes of them. */
#define MOST_MISTAKES 200
#define QUOTED_CHARACTERS 60

typedef struct {
    Place place;
    char *message;
} Mistake;

struct Diagnostics {
    GPtrArray *mistakes; /* of Mistake */
    gboolean dropped;    /* there were more */
};

static void mistake_free(gpointer data)
{
    Mistake *mistake = data;
    g_free(mistake->message);
    g_free(mistake);
}

Diagnostics *diagnostics_new(void)
{
    Diagnostics *diagnostics = g_new0(Diagnostics, 1);
    diagnostics->mistakes = g_ptr_array_new_with_free_func(mistake_free);
    return diagnostics;
}

void diagnostics_free(Diagnostics *diagnostics)
{
    if (diagnostics != NULL) {
        g_ptr_array_unref(diagnostics->mistakes);
        g_free(diagnostics);
    }
}

gboolean diagnostics_any(const Diagnostics *diagnostics)
{
    return diagnostics->mistakes->len > 0;
}

gboolean diagnostics_full(const Diagnostics *diagnostics)
{
    return diagnostics->mistakes->len >= MOST_MISTAKES;
}

void diagnostics_add(Diagnostics *diagnostics, const Place *place, const char *format, ...)
{
    if (diagnostics_full(diagnostics)) {
        diagnostics->dropped = TRUE;
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    Mistake *mistake = g_new0(Mistake, 1);
    mistake->place = *place;
    mistake->message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_ptr_array_add(diagnostics->mistakes, mistake);
}

static int by_place(gconstpointer a, gconstpointer b)
{
    const Mistake *one = *(Mistake *const *)a, *other = *(Mistake *const *)b;
    int order = strcmp(one->place.file, other->place.file);
    if (order == 0) {
        order = (one->place.line > other->place.line) - (one->place.line < other->place.line);
    }
    if (order == 0) {
        order = (one->place.column > other->place.column) - (one->place.column < other->place.column);
    }
    return order != 0 ? order : strcmp(one->message, other->message);
}

gboolean diagnostics_raise(Diagnostics *diagnostics, const GPtrArray *secrets, GError **error)
{
    if (!diagnostics_any(diagnostics)) {
        return TRUE;
    }
    g_ptr_array_sort(diagnostics->mistakes, by_place);
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < diagnostics->mistakes->len; i++) {
        Mistake *mistake = g_ptr_array_index(diagnostics->mistakes, i);
        /* An alias brings the very same mistake once more. */
        if (i > 0 && by_place(&diagnostics->mistakes->pdata[i - 1], &diagnostics->mistakes->pdata[i]) == 0) {
            continue;
        }
        g_string_append_printf(text, "%s%s:", text->len > 0 ? "\n" : "", mistake->place.file);
        if (mistake->place.line > 0) {
            g_string_append_printf(text, "%u:%u:", mistake->place.line, mistake->place.column);
        }
        g_autofree char *message = ingot_secrets_mask(secrets, mistake->message);
        g_string_append_printf(text, " %s", message);
    }
    if (diagnostics->dropped) {
        g_string_append(text, "\nand more: these are the first " G_STRINGIFY(MOST_MISTAKES));
    }
    g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_INVALID, text->str);
    return FALSE;
}

char *diagnostics_quote(const char *text)
{
    g_autoptr(GString) quoted = g_string_new("'");
    const char *at = text;
    for (guint count = 0; *at != '\0' && count < QUOTED_CHARACTERS; count++, at = g_utf8_next_char(at)) {
        gunichar character = g_utf8_get_char(at);
        if (character == '\n' && count > 0) {
            break;
        }
        if (g_unichar_isprint(character)) {
            g_string_append_unichar(quoted, character);
        } else {
            g_string_append_printf(quoted, "\\x%02x", character);
        }
    }
    g_string_append(quoted, *at != '\0' && strcmp(at, "\n") != 0 ? "…'" : "'");
    return g_string_free(g_steal_pointer(&quoted), FALSE);
}
