#include "check/kinds.h"

#include <ingot/secrets.h>
#include <string.h>

#include "check/http.h"

#define SETTLE_SECONDS 60u /* for a slow machine to answer once a test's own time is over */

static const char *text_of(const json_t *test, const char *key)
{
    return json_string_value(json_object_get(test, key));
}

static void keep_last(const char *line, gpointer user)
{
    GString *last = user;
    g_autofree char *masked = ingot_secrets_mask_all(line); /* half of one that is cut would not be found */
    g_string_append_printf(last, "%s%s", last->len == 0 ? "" : "\n", masked);
    if (last->len > 1000) {
        g_string_erase(last, 0, (gssize)(last->len - 1000));
    }
}

/* Runs a script; *output gets the end of what it printed. */
static gboolean run(const CheckContext *context, const json_t *test, const char *script, int *status, char **output,
                    GError **error)
{
    g_autoptr(GString) last = g_string_new(NULL);
    GuestCommand command = {
        .script = script,
        .user = text_of(test, "user"),
        .seconds = (guint)json_integer_value(json_object_get(test, "timeout")),
        .line = keep_last,
        .user_data = last,
    };
    gboolean ok = guest_run(context->guest, &command, status, error);
    *output = g_string_free(g_steal_pointer(&last), FALSE);
    return ok;
}

static gboolean check_shell(const CheckContext *context, const json_t *test, char **reason, GError **error)
{
    int status = 0;
    g_autofree char *output = NULL;
    if (!run(context, test, text_of(test, "script"), &status, &output, error)) {
        return FALSE;
    }
    const json_t *expect = json_object_get(test, "expect");
    for (size_t i = 0; i < json_array_size(expect); i++) {
        if (json_integer_value(json_array_get(expect, i)) == status) {
            return TRUE;
        }
    }
    *reason = g_strdup_printf("exit status %d%s%s", status, *output == '\0' ? "" : ": ", output);
    return FALSE;
}

/* A condition that may still come true while the machine settles: tried until it does or the test's time is over. */
static gboolean wait_for(const CheckContext *context, const json_t *test, const char *condition, gboolean *came,
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

static gboolean check_service(const CheckContext *context, const json_t *test, char **reason, GError **error)
{
    g_autofree char *quoted = g_shell_quote(text_of(test, "service"));
    g_autofree char *condition = g_strdup_printf("systemctl is-active --quiet %s", quoted);
    gboolean active = FALSE;
    if (!wait_for(context, test, condition, &active, error)) {
        return FALSE;
    }
    if (!active) {
        g_autofree char *ask = g_strdup_printf("systemctl status --no-pager --lines=5 %s || true", quoted);
        guest_script(context->guest, ask, reason, error);
    }
    return active;
}

static gboolean check_port(const CheckContext *context, const json_t *test, char **reason, GError **error)
{
    /* /proc/net/tcp: local address with the port in hexadecimal, state 0A is LISTEN; no tool has to be there. */
    g_autofree char *condition =
        g_strdup_printf("cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q ':%04X [0-9A-F:]* 0A '",
                        (guint)json_integer_value(json_object_get(test, "port")));
    gboolean listening = FALSE;
    if (wait_for(context, test, condition, &listening, error) && !listening) {
        *reason = g_strdup("nothing listens on it");
    }
    return listening;
}

static gboolean check_package(const CheckContext *context, const json_t *test, char **reason, GError **error)
{
    const char *name = text_of(test, "package");
    g_autofree char *quoted = g_shell_quote(name);
    g_autofree char *script =
        g_strdup_printf("if command -v dpkg-query >/dev/null; then\n"
                        "    dpkg-query -W -f '${db:Status-Status}\\n' %s 2>/dev/null | grep -qx installed\n"
                        "else\n"
                        "    rpm -q %s >/dev/null\n"
                        "fi\n",
                        quoted, quoted);
    int status = 0;
    g_autofree char *output = NULL;
    if (!run(context, test, script, &status, &output, error)) {
        return FALSE;
    }
    if (status != 0) {
        *reason = g_strdup("not installed");
    }
    return status == 0;
}

static gboolean check_mode(const CheckContext *context, const json_t *test, const char *quoted, char **reason,
                           GError **error)
{
    const char *wanted = text_of(test, "mode");
    if (wanted == NULL) {
        return TRUE;
    }
    g_autofree char *script = g_strdup_printf("stat -c %%a -- %s", quoted);
    g_autofree char *mode = NULL;
    if (!guest_script(context->guest, script, &mode, error)) {
        return FALSE;
    }
    if (g_ascii_strtoull(mode, NULL, 8) != g_ascii_strtoull(wanted, NULL, 8)) {
        *reason = g_strdup_printf("mode %s, not %s", g_strstrip(mode), wanted);
        return FALSE;
    }
    return TRUE;
}

static gboolean check_content(const CheckContext *context, const json_t *test, const char *quoted, char **reason,
                              GError **error)
{
    const char *pattern = text_of(test, "content");
    if (pattern == NULL) {
        return TRUE;
    }
    /* A pipe or a device would be read for ever. */
    g_autofree char *script = g_strdup_printf("[ ! -f %s ] || head -c 1048576 -- %s", quoted, quoted);
    g_autofree char *content = NULL;
    if (!guest_script(context->guest, script, &content, error)) {
        return FALSE;
    }
    if (!g_regex_match_simple(pattern, content, G_REGEX_MULTILINE | G_REGEX_RAW, 0)) {
        *reason = g_strdup_printf("its content does not match '%s'", pattern);
        return FALSE;
    }
    return TRUE;
}

static gboolean check_file(const CheckContext *context, const json_t *test, char **reason, GError **error)
{
    g_autofree char *quoted = g_shell_quote(text_of(test, "path"));
    g_autofree char *script = g_strdup_printf("[ -e %s ]", quoted);
    int status = 0;
    g_autofree char *output = NULL;
    if (!run(context, test, script, &status, &output, error)) {
        return FALSE;
    }
    gboolean wanted = !json_is_false(json_object_get(test, "exists"));
    if ((status == 0) != wanted) {
        *reason = g_strdup(wanted ? "is not there" : "is there");
        return FALSE;
    }
    return !wanted ||
           (check_mode(context, test, quoted, reason, error) && check_content(context, test, quoted, reason, error));
}

static char *title_shell(const json_t *test)
{
    const char *script = text_of(test, "script");
    return g_strdup_printf("shell %.*s", (int)strcspn(script, "\n"), script);
}

static char *title_service(const json_t *test)
{
    return g_strdup_printf("service %s", text_of(test, "service"));
}

static char *title_port(const json_t *test)
{
    return g_strdup_printf("port %" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(test, "port")));
}

static char *title_package(const json_t *test)
{
    return g_strdup_printf("package %s", text_of(test, "package"));
}

static char *title_file(const json_t *test)
{
    return g_strdup_printf("file %s", text_of(test, "path"));
}

static char *title_http(const json_t *test)
{
    return g_strdup_printf("http port %" JSON_INTEGER_FORMAT " %s", json_integer_value(json_object_get(test, "port")),
                           text_of(test, "path"));
}

static const CheckKind kinds[] = {
    {"shell", check_shell, title_shell}, {"service", check_service, title_service},
    {"port", check_port, title_port},    {"package", check_package, title_package},
    {"file", check_file, title_file},    {"http", check_http, title_http},
};

const CheckKind *check_kind(const json_t *test)
{
    const char *kind = text_of(test, "kind");
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (g_strcmp0(kinds[i].kind, kind) == 0) {
            return &kinds[i];
        }
    }
    g_assert_not_reached(); /* the recipe's check lets no other kind pass */
}
