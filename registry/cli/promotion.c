#include "cli/promotion.h"

#include <ingot/error.h>
#include <stdio.h>

#include "base/command.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/nameapi.h"
#include "remote/api.h"

static void print_line(const char *head, const char *text)
{
    if (text != NULL) {
        g_autofree char *line = ingot_text_line(text);
        fprintf(stderr, "%s%s\n", head, line);
    }
}

/* Each gate with what it found; one that refuses with what would satisfy it. */
static void print_gates(const json_t *gates)
{
    for (size_t i = 0; i < json_array_size(gates); i++) {
        const json_t *one = json_array_get(gates, i);
        gboolean passed = json_is_true(json_object_get(one, "passed"));
        const char *name = json_string_value(json_object_get(one, "gate"));
        const char *why = json_string_value(json_object_get(one, "why"));
        g_autofree char *text = g_strdup_printf("%s: %s%s%s", name == NULL ? "?" : name, passed ? "passed" : "REFUSED",
                                                why == NULL ? "" : ": ", why == NULL ? "" : why);
        print_line("  ", text);
        print_line("      -> ", passed ? NULL : json_string_value(json_object_get(one, "mend")));
    }
}

static guint count_refused(const json_t *gates)
{
    guint count = 0;
    for (size_t i = 0; i < json_array_size(gates); i++) {
        count += json_is_true(json_object_get(json_array_get(gates, i), "passed")) ? 0 : 1;
    }
    return count;
}

static void print_answer(const char *where, const char *channel, const json_t *answer)
{
    const char *digest = json_string_value(json_object_get(answer, "digest"));
    if (ingot_command_common()->json) {
        cli_print_json(answer);
        return;
    }
    if (!ingot_command_common()->quiet) {
        print_gates(json_object_get(answer, "gates"));
    }
    IngotDigest parsed;
    if (digest != NULL && ingot_digest_parse(digest, &parsed, NULL)) {
        g_autofree char *text = g_strdup_printf("%s:%s", where, channel);
        cli_print_result(text, &parsed);
    }
}

gboolean promotion_ask(const char *where, const char *what, const char *channel, const json_t *body, gboolean *foreign,
                       GError **error)
{
    guint status = 0;
    GError *problem = NULL;
    g_autofree char *path = g_strdup_printf("%s/%s", what, channel);
    g_autoptr(json_t) answer = name_api_ask(where, "POST", path, body, &status, &problem);
    if (answer == NULL) {
        if (foreign != NULL && remote_api_is_foreign(problem)) {
            *foreign = TRUE;
            g_error_free(problem);
        } else {
            g_propagate_error(error, problem);
        }
        return FALSE;
    }
    const json_t *gates = json_object_get(answer, "gates");
    if (status != 409) {
        print_answer(where, channel, answer);
        return TRUE;
    }
    if (ingot_command_common()->json) {
        cli_print_json(answer);
    } else {
        print_gates(gates);
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_REFUSED, "%s:%s was not moved: %u of %zu gates refuse it", where,
                channel, count_refused(gates), json_array_size(gates));
    return FALSE;
}
