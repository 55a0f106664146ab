#include "cli/history.h"

#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/nameapi.h"

#define COLUMNS_MOST 9u
#define PAGE "1000" /* moves that are asked for at once */

json_t *history_ask(const char *where, const char *what, const char *query, GError **error)
{
    guint status;
    g_autofree char *path = g_strconcat(what, query, NULL);
    g_autoptr(json_t) answer = name_api_ask(where, "GET", path, NULL, &status, error);
    if (answer != NULL && !json_is_array(answer)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: the registry's answer is not a list", where);
        return NULL;
    }
    return g_steal_pointer(&answer);
}

json_t *history_moves(const char *name, const char *channel, int most, GError **error)
{
    g_autoptr(json_t) all = json_array();
    g_autofree char *escaped = channel == NULL ? NULL : g_uri_escape_string(channel, NULL, FALSE);
    json_int_t before = 0;
    for (;;) {
        g_autoptr(GString) query = g_string_new("?n=" PAGE);
        if (escaped != NULL) {
            g_string_append_printf(query, "&channel=%s", escaped);
        }
        if (before > 0) {
            g_string_append_printf(query, "&before=%" JSON_INTEGER_FORMAT, before);
        }
        g_autoptr(json_t) page = history_ask(name, "log", query->str, error);
        if (page == NULL) {
            return NULL;
        }
        json_int_t last =
            json_integer_value(json_object_get(json_array_get(page, json_array_size(page) - 1), "number"));
        json_array_extend(all, page);
        if (json_array_size(page) == 0 || last <= 1 || (before > 0 && last >= before) ||
            (most > 0 && json_array_size(all) >= (size_t)most)) {
            break;
        }
        before = last;
    }
    while (most > 0 && json_array_size(all) > (size_t)most) {
        json_array_remove(all, json_array_size(all) - 1);
    }
    return g_steal_pointer(&all);
}

/* Free it. */
static char *cell_of(const json_t *entry, const char *column)
{
    const char *text = json_string_value(json_object_get(entry, column));
    if (text == NULL || *text == '\0') {
        return g_strdup("-");
    }
    IngotDigest digest;
    if (strcmp(column, "digest") == 0 && ingot_digest_parse(text, &digest, NULL)) {
        return cli_short_digest(&digest);
    }
    if (strcmp(column, "how") == 0 && json_is_true(json_object_get(entry, "forced"))) {
        g_autofree char *forced = g_strdup_printf("%s FORCED", text);
        return ingot_text_line(forced);
    }
    return ingot_text_line(text);
}

static void fit_width(glong *width, const char *text)
{
    *width = MAX(*width, g_utf8_strlen(text, -1));
}

static void print_cell(const char *text, glong width, gboolean last)
{
    printf("%s%*s", text, last ? 0 : (int)(width - g_utf8_strlen(text, -1) + 2), "");
}

void history_print(const json_t *list, const char *const *columns)
{
    glong widths[COLUMNS_MOST] = {0};
    guint count = MIN(g_strv_length((char **)columns), COLUMNS_MOST);
    for (guint c = 0; c < count; c++) {
        fit_width(&widths[c], columns[c]);
        for (size_t i = 0; i < json_array_size(list); i++) {
            g_autofree char *text = cell_of(json_array_get(list, i), columns[c]);
            fit_width(&widths[c], text);
        }
    }
    for (guint c = 0; c < count; c++) {
        g_autofree char *head = g_ascii_strup(columns[c], -1);
        print_cell(head, widths[c], c + 1 == count);
    }
    puts("");
    for (size_t i = 0; i < json_array_size(list); i++) {
        for (guint c = 0; c < count; c++) {
            g_autofree char *text = cell_of(json_array_get(list, i), columns[c]);
            print_cell(text, widths[c], c + 1 == count);
        }
        puts("");
    }
}
