/* Settings: which source wins, what each refuses and how it is named, that what is told can be read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <unistd.h>

#include "server/settings.h"

static char *folder, *path;

/* Reads settings from the words of a command line, those of an environment and the text of a file (NULL: none). */
static gboolean read_all(const char *line, const char *variables, const char *file, Settings *settings, GError **error)
{
    g_autoptr(SettingFlags) flags = settings_flags_new();
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autofree char *words = g_strconcat("ingotd ", line, NULL);
    g_auto(GStrv) arguments = g_strsplit(words, " ", -1), environment = g_strsplit(variables, " ", -1);
    g_auto(GStrv) copy = g_strdupv(arguments);
    g_option_context_add_main_entries(context, flags->entries, NULL);
    assert_true(g_option_context_parse_strv(context, &copy, error));
    if (file != NULL) {
        assert_true(g_file_set_contents(path, file, -1, NULL));
        g_free(flags->config);
        flags->config = g_strdup(path);
    }
    return settings_read(flags, environment, settings, error);
}

static void expect_listen(const char *line, const char *variables, const char *file, const char *listen)
{
    g_autoptr(GError) error = NULL;
    g_auto(Settings) settings = {0};
    if (!read_all(line, variables, file, &settings, &error)) {
        fail_msg("%s", error->message);
    }
    assert_string_equal(settings.listen, listen);
}

/* The message, with %s where the file's path stands. */
static void refuse(const char *line, const char *variables, const char *file, const char *message)
{
    g_autoptr(GError) error = NULL;
    g_auto(Settings) settings = {0};
    assert_false(read_all(line, variables, file, &settings, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    g_autoptr(GString) wanted = g_string_new(message);
    g_string_replace(wanted, "%s", path, 0);
    if (!g_str_has_prefix(error->message, wanted->str)) {
        fail_msg("'%s' does not begin with '%s'", error->message, wanted->str);
    }
}

static void flag_over_variable_over_file_over_default(void **state)
{
    (void)state;
    const char *file = "# a file\n[ingotd]\nlisten = 3:3\n", *variable = "A=B INGOTD_LISTEN=2:2";
    expect_listen("", "", NULL, "127.0.0.1:5000");
    expect_listen("", "", "", "127.0.0.1:5000");
    expect_listen("", "", file, "3:3");
    expect_listen("", variable, file, "2:2");
    expect_listen("--listen 1:1", variable, file, "1:1");
    expect_listen("--listen 1:1", "", file, "1:1");
    expect_listen("", "INGOTD_LISTEN=", file, "3:3");
}

static void the_file_may_be_named_by_a_variable(void **state)
{
    (void)state;
    assert_true(g_file_set_contents(path, "[ingotd]\nlisten=3:3\n", -1, NULL));
    g_autofree char *variable = g_strconcat("INGOTD_CONFIG=", path, NULL);
    g_autofree char *flag = g_strconcat("--config ", path, NULL);
    expect_listen("", variable, NULL, "3:3");
    expect_listen(flag, "INGOTD_CONFIG=/nowhere", NULL, "3:3");
    expect_listen("", "INGOTD_CONFIG=", NULL, "127.0.0.1:5000");
    refuse("", "INGOTD_CONFIG=/nowhere", NULL, "/nowhere: ");
}

static void values_have_kinds(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    g_auto(Settings) settings = {0};
    assert_true(read_all("--max-upload 5M", "INGOTD_MAX_CONNECTIONS=99 INGOTD_LOG=json", "[ingotd]\nidle-timeout=2m\n",
                         &settings, &error));
    assert_int_equal(settings.max_upload, 5 << 20);
    assert_int_equal(settings.max_connections, 99);
    assert_int_equal(settings.idle_timeout, 120);
    assert_int_equal(settings.log, LOG_AS_JSON);
    assert_null(settings.data);
}

static void what_is_unknown_is_named_with_the_nearest(void **state)
{
    (void)state;
    refuse("", "INGOTD_LITSEN=1", NULL,
           "there is no setting for the variable INGOTD_LITSEN (did you mean 'INGOTD_LISTEN'?)");
    refuse("", "INGOTD_LITSEN=", NULL, "there is no setting for the variable INGOTD_LITSEN");
    refuse("", "", "[ingotd]\nmax-uplaod=1\n", "%s: there is no setting 'max-uplaod' (did you mean 'max-upload'?)");
    refuse("", "", "[ingotd]\nlisten=1:1\n[more]\n", "%s: there is no group [more], only [ingotd]");
    refuse("", "", "listen=1:1\n", "%s: ");
    expect_listen("", "INGOTD_OPTIONS=--x INGOTD_PORT=tcp://1 INGOTD_PORT_5000_TCP=x INGOTD_SERVICE_HOST=y", NULL,
                  "127.0.0.1:5000");
}

/* Kubernetes gives each pod these for every service of its namespace. */
static void services_of_others_are_no_settings(void **state)
{
    (void)state;
    static const char *const services[] = {"INGOTD", "INGOTD_METRICS", "INGOTD_LISTEN", "INGOTD_MAX_UPLOAD_PORT"};
    static const char *const endings[] = {
        "_SERVICE_HOST",  "_SERVICE_PORT",        "_SERVICE_PORT_HTTP",  "_SERVICE_PORT_METRICS_2", "_PORT",
        "_PORT_9090_TCP", "_PORT_9090_TCP_PROTO", "_PORT_9090_TCP_PORT", "_PORT_9090_TCP_ADDR",     "_PORT_53_UDP",
    };
    for (guint i = 0; i < G_N_ELEMENTS(services); i++) {
        for (guint k = 0; k < G_N_ELEMENTS(endings); k++) {
            g_autofree char *variable = g_strdup_printf("%s%s=tcp://10.0.0.1:9090", services[i], endings[k]);
            expect_listen("", variable, NULL, "127.0.0.1:5000");
        }
    }
    refuse("", "INGOTD_METRICS_HOST=1", NULL, "there is no setting for the variable INGOTD_METRICS_HOST");
    refuse("", "INGOTD_METRICS_PORT_NAME=1", NULL, "there is no setting for the variable INGOTD_METRICS_PORT_NAME");
}

static void bad_values_are_named_by_their_origin(void **state)
{
    (void)state;
    refuse("--max-upload many", "", NULL, "--max-upload: 'many' is no size");
    refuse("", "INGOTD_MAX_CONNECTIONS=-1", NULL, "INGOTD_MAX_CONNECTIONS: '-1' is no number");
    refuse("", "INGOTD_IDLE_TIMEOUT=1y", NULL, "INGOTD_IDLE_TIMEOUT: '1y' is no duration");
    refuse("", "INGOTD_IDLE_TIMEOUT=99999999d", NULL, "INGOTD_IDLE_TIMEOUT: '99999999d' is too long");
    refuse("", "", "[ingotd]\nlog=jsn\n", "%s: log: 'jsn' is none of plain or json (did you mean 'json'?)");
    refuse("", "", "[ingotd]\nlisten=\n", "%s: listen: the value is empty");
    refuse("", "", "[ingotd]\ndata=\\q\n", "%s: data: ");
    refuse("--log json", "", "[ingotd]\nlog=other\n", "%s: log: 'other'"); /* though it does not count */
    refuse("--max-connections 7", "", NULL, "--max-connections: at least 8");
    refuse("--tls-key x", "", NULL, "--tls-cert and --tls-key go together");
}

static void what_is_told_says_the_same(void **state)
{
    (void)state;
    g_auto(Settings) settings = {0}, again = {0};
    assert_true(read_all("--data \\a\\b", "INGOTD_LOG=json", "[ingotd]\nmax-upload=1K\n", &settings, NULL));
    g_autofree char *told = settings_tell(&settings);
    assert_non_null(g_strstr_len(told, -1, "--log FORMAT, INGOTD_LOG (INGOTD_LOG)\nlog=json\n"));
    assert_non_null(g_strstr_len(told, -1, "INGOTD_LISTEN (default)\n"));
    assert_true(read_all("", "", told, &again, NULL));
    assert_string_equal(again.data, "\\a\\b");
    assert_int_equal(again.max_upload, 1024);
    assert_int_equal(again.log, LOG_AS_JSON);
    assert_null(again.tls_cert);
}

static int begin(void **state)
{
    (void)state;
    folder = g_dir_make_tmp("ingot-test-XXXXXX", NULL);
    path = g_build_filename(folder, "ingotd.conf", NULL);
    return folder == NULL;
}

static int end(void **state)
{
    (void)state;
    g_unlink(path);
    g_rmdir(folder);
    g_free(path);
    g_free(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flag_over_variable_over_file_over_default),
        cmocka_unit_test(the_file_may_be_named_by_a_variable),
        cmocka_unit_test(values_have_kinds),
        cmocka_unit_test(what_is_unknown_is_named_with_the_nearest),
        cmocka_unit_test(services_of_others_are_no_settings),
        cmocka_unit_test(bad_values_are_named_by_their_origin),
        cmocka_unit_test(what_is_told_says_the_same),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
