/* ingotd: the registry. `ingotd --data DIR` serves; a verb does something to the data folder. */
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "base/process.h"
#include "base/text.h"
#include "server/cli/verbs.h"
#include "server/http/log.h"

static const Verb *const verbs[] = {&verb_serve,   &verb_user,   &verb_token,   &verb_gc,    &verb_mirror, &verb_scrub,
                                    &verb_rebuild, &verb_backup, &verb_restore, &verb_audit, &verb_webhook};

/* The help of the program itself lists its verbs too. */
static char *describe(const Verb *verb)
{
    GString *text = g_string_new(NULL);
    if (verb == &verb_serve) {
        g_string_append(text, "Verbs (ingotd VERB --help tells more):\n");
        for (guint i = 0; i < G_N_ELEMENTS(verbs); i++) {
            g_string_append_printf(text, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
        }
        g_string_append_c(text, '\n');
    }
    g_string_append(text, verb->help);
    return g_string_free(text, FALSE);
}

gboolean verb_options(const Verb *verb, const GOptionEntry *entries, int min, int max, int *argc, char ***argv,
                      GError **error)
{
    g_autoptr(GOptionContext) context = g_option_context_new(verb->arguments);
    g_autoptr(GError) problem = NULL;
    g_autofree char *program = verb == &verb_serve ? g_strdup("ingotd") : g_strdup_printf("ingotd %s", verb->name);
    g_autofree char *description = describe(verb);
    g_set_prgname(program);
    g_option_context_set_summary(context, verb->summary);
    g_option_context_set_description(context, description);
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, &problem)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s; see %s --help", problem->message, program);
        return FALSE;
    }
    if (*argc - 1 < min || *argc - 1 > max) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s; see %s --help",
                    *argc - 1 < min ? "an argument is missing"
                    : max == 0      ? "no arguments are expected, only options"
                                    : "there are too many arguments",
                    program);
        return FALSE;
    }
    return TRUE;
}

gboolean verb_needs_data(const char *data, GError **error)
{
    if (data == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--data DIR is missing; see %s --help", g_get_prgname());
    }
    return data != NULL;
}

gboolean verb_finds_data(const char *data, GError **error)
{
    static const char *const signs[] = {"catalogue.sqlite", "names.log", "packs", "users.sqlite"};
    for (guint i = 0; i < G_N_ELEMENTS(signs); i++) {
        g_autofree char *path = g_build_filename(data, signs[i], NULL);
        if (g_file_test(path, G_FILE_TEST_EXISTS)) {
            return TRUE;
        }
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: not a data folder of ingotd", data);
    return FALSE;
}

void verb_print_line(const char *line, gpointer user)
{
    (void)user;
    fprintf(stderr, "%s\n", line);
}

char *verb_url_of(const char *url, GError **error)
{
    gsize scheme = g_str_has_prefix(url, "https://")  ? strlen("https://")
                   : g_str_has_prefix(url, "http://") ? strlen("http://")
                                                      : 0;
    gsize length = strcspn(url + scheme, "/");
    if (length == 0 || (url[scheme + length] != '\0' && url[scheme + length + 1] != '\0')) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: a registry's URL is expected, as in https://HOST:PORT", url);
        return NULL;
    }
    return g_strndup(url, scheme + length);
}

static const Verb *find_verb(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(verbs); i++) {
        if (strcmp(verbs[i]->name, name) == 0) {
            return verbs[i];
        }
    }
    return NULL;
}

static gboolean run(int argc, char **argv, GError **error)
{
    if (argc < 2 || argv[1][0] == '-') {
        return verb_serve.run(argc, argv, error);
    }
    const Verb *verb = find_verb(argv[1]);
    if (verb == NULL) {
        const char *names[G_N_ELEMENTS(verbs) + 1] = {NULL};
        for (guint i = 0; i < G_N_ELEMENTS(verbs); i++) {
            names[i] = verbs[i]->name;
        }
        g_autofree char *near = ingot_text_suggestion(argv[1], names);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "there is no verb '%s'%s; see ingotd --help", argv[1],
                    near);
        return FALSE;
    }
    return verb->run(argc - 1, argv + 1, error);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    ingot_process_fill_standard();
    ingot_interrupt_install();
    if (!run(argc, argv, &error)) {
        log_error("%s", error->message);
    }
    return ingot_error_exit_status(error);
}
