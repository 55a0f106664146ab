#include "check/kinds.h"

#include <string.h>

#include "base/secrets.h"
#include "recipe/kinds.h"

#define OUTPUT_MOST 1000   /* bytes of what a script printed */
#define CHARACTER_MOST 4   /* bytes of one in UTF-8 */
#define SETTLE_SECONDS 60u /* for a slow machine to answer once a test's own time is over */

#define ENTRY(name) &check_##name,
static const CheckKind *const kinds[] = {RECIPE_TESTS(ENTRY)};
#undef ENTRY

const char *check_text(const json_t *test, const char *key)
{
    return json_string_value(json_object_get(test, key));
}

static void keep_last(const char *line, gpointer user)
{
    GString *last = user;
    g_autofree char *masked = ingot_secrets_mask_all(line); /* half of one that is cut would not be found */
    g_string_append_printf(last, "%s%s", last->len == 0 ? "" : "\n", masked);
    if (last->len > OUTPUT_MOST) {
        gsize cut = last->len - OUTPUT_MOST;
        for (guint i = 1; i < CHARACTER_MOST && ((guchar)last->str[cut] & 0xC0) == 0x80; i++) {
            cut++; /* the rest of a character that would be cut */
        }
        g_string_erase(last, 0, (gssize)cut);
    }
}

/* Bytes are matched as text where they are text: '.' is a character there, and a byte elsewhere. */
gboolean check_matches(const char *pattern, const char *bytes, gsize size)
{
    GRegexCompileFlags raw = g_utf8_validate_len(bytes, size, NULL) ? 0 : G_REGEX_RAW;
    g_autoptr(GRegex) regex = g_regex_new(pattern, G_REGEX_MULTILINE | raw, 0, NULL);
    return regex != NULL && g_regex_match_full(regex, bytes, (gssize)size, 0, 0, NULL, NULL);
}

gboolean check_script(const CheckContext *context, const json_t *test, const char *script, int *status, char **output,
                      GError **error)
{
    g_autoptr(GString) last = g_string_new(NULL);
    GuestCommand command = {
        .script = script,
        .user = check_text(test, "user"),
        .seconds = (guint)json_integer_value(json_object_get(test, "timeout")),
        .line = keep_last,
        .user_data = last,
    };
    gboolean ok = guest_run(context->guest, &command, status, error);
    *output = g_string_free(g_steal_pointer(&last), FALSE);
    return ok;
}

gboolean check_wait(const CheckContext *context, const json_t *test, const char *condition, gboolean *came,
                    GError **error)
{
    json_int_t seconds = json_integer_value(json_object_get(test, "timeout"));
    g_autofree char *script = g_strdup_printf("end=$(($(date +%%s) + %" JSON_INTEGER_FORMAT "))\n"
                                              "until %s; do\n"
                                              "    [ \"$(date +%%s)\" -lt \"$end\" ] || exit 1\n"
                                              "    sleep 0.3\n"
                                              "done\n",
                                              seconds, condition);
    GuestCommand command = {.script = script, .seconds = (guint)seconds + SETTLE_SECONDS};
    int status = 0;
    if (!guest_run(context->guest, &command, &status, error)) {
        return FALSE;
    }
    *came = status == 0;
    return TRUE;
}

const CheckKind *check_kind(const json_t *test)
{
    const char *kind = check_text(test, "kind");
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (g_strcmp0(kinds[i]->kind, kind) == 0) {
            return kinds[i];
        }
    }
    g_assert_not_reached(); /* the recipe's check lets no other kind pass */
}
