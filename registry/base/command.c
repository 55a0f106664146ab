#include "base/command.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/file.h"
#include "base/process.h"
#include "base/secrets.h"
#include "base/terminal.h"
#include "base/text.h"

#define PREFIX "ingot-" /* of a program that is a verb */

static IngotCommon common;
static IngotProgress *progress;

const char *ingot_command_version(void)
{
    return INGOT_VERSION;
}

const IngotCommon *ingot_command_common(void)
{
    return &common;
}

IngotProgress *ingot_command_progress(void)
{
    if (!progress)
        progress = terminal_progress_new(common.quiet);
    return progress;
}

static void use_default(char **path, const char *variable, const char *folder, const char *child)
{
    const char *value = g_getenv(variable);

    if (*path)
        return;
    *path = value && *value ? g_strdup(value) : g_build_filename(folder, "ingot", child, NULL);
}

/* A variable of a script that is not set: the folder one is in, or the system's certificates, were never meant. */
static gboolean check_given(const char *option, const char *value, GError **error)
{
    if (!value || *value)
        return TRUE;
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: a path is expected, not an empty word", option);
    return FALSE;
}

/* "--" ends the options; what GOption leaves of it is no argument. Behind `last` it is somebody else's. */
static void drop_separator(int *argc, char **argv, int last)
{
    for (int i = 1; i < *argc && i <= last; i++) {
        if (!g_str_equal(argv[i], "--"))
            continue;
        memmove(argv + i, argv + i + 1, (gsize)(*argc - i) * sizeof *argv); /* with the NULL at the end */
        (*argc)--;
        return;
    }
}

static gboolean refuse_usage(const IngotVerb *verb, const char *problem, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "%s\nusage: ingot %s [OPTIONS]%s%s (`ingot %s --help` tells more)", problem, verb->name,
                *verb->arguments ? " " : "", verb->arguments, verb->name);
    return FALSE;
}

gboolean ingot_command_options(const IngotVerb *verb, const GOptionEntry *entries, int min, int max, int *argc,
                               char ***argv, GError **error)
{
    static char *store, *cache, *ca;
    const GOptionEntry shared[] = {
        {"store", 0, 0, G_OPTION_ARG_FILENAME, &store, "the local store ($INGOT_STORE)", "DIR"},
        {"cache", 0, 0, G_OPTION_ARG_FILENAME, &cache, "where build snapshots are ($INGOT_CACHE)", "DIR"},
        {"ca", 0, 0, G_OPTION_ARG_FILENAME, &ca, "certificates that registries are checked against ($INGOT_CA)",
         "FILE"},
        {"quiet", 'q', 0, G_OPTION_ARG_NONE, &common.quiet, "print nothing but the result", NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &common.json, "print JSON where a list or an image is shown", NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(verb->arguments);
    g_autoptr(GError) problem = NULL;

    g_option_context_set_summary(context, verb->summary);
    g_option_context_set_description(context, verb->help);
    g_option_context_set_strict_posix(context, verb->passes_on);
    if (entries)
        g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_main_entries(context, shared, NULL);
    if (!g_option_context_parse(context, argc, argv, &problem))
        return refuse_usage(verb, problem->message, error);
    drop_separator(argc, *argv, verb->passes_on ? 1 : *argc);
    (*argv)[0] = (char *)verb->name;
    if (*argc - 1 < min)
        return refuse_usage(verb, "an argument is missing", error);
    if (max >= 0 && *argc - 1 > max) {
        g_autofree char *excess = g_strdup_printf("'%s' is one argument too many", (*argv)[max + 1]);
        return refuse_usage(verb, excess, error);
    }
    if (!check_given("--store", store, error) || !check_given("--cache", cache, error) ||
        !check_given("--ca", ca, error))
        return FALSE;
    use_default(&store, "INGOT_STORE", g_get_user_data_dir(), "store");
    use_default(&cache, "INGOT_CACHE", g_get_user_cache_dir(), NULL);
    if (ca)
        g_setenv("INGOT_CA", ca, TRUE);
    common.store = store;
    common.cache = cache;
    return TRUE;
}

/* Where further verbs may be, first match wins: a build tree has libexec beside the program, an installation that was
 * moved has it beside bin, and the prefix is where it was installed to. */
static GStrv libexec_folders(void)
{
    g_autoptr(GStrvBuilder) folders = g_strv_builder_new();
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    const char *chosen = g_getenv("INGOT_LIBEXEC");

    if (chosen && *chosen)
        g_strv_builder_add(folders, chosen);
    if (program) {
        g_autofree char *here = g_path_get_dirname(program);
        g_autofree char *beside = g_build_filename(here, "libexec", NULL);
        g_autofree char *installed = g_build_filename(here, "..", "libexec", "ingot", NULL);
        g_strv_builder_add_many(folders, beside, installed, NULL);
    }
    g_strv_builder_add(folders, INGOT_PREFIX "/libexec/ingot");
    return g_strv_builder_end(folders);
}

static void add_verbs_of_folder(const char *path, GPtrArray *names)
{
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *entry;

    while (folder && (entry = g_dir_read_name(folder))) {
        g_autofree char *program = g_build_filename(path, entry, NULL);
        const char *name = entry + strlen(PREFIX);
        if (g_str_has_prefix(entry, PREFIX) && access(program, X_OK) == 0 &&
            !g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
            g_ptr_array_add(names, g_strdup(name));
    }
}

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What a verb's program says of itself in one line; "" where it does not know the option. */
static char *summary_of(const char *name)
{
    g_auto(GStrv) folders = libexec_folders();
    g_autofree char *file = g_strconcat(PREFIX, name, NULL);

    for (guint i = 0; folders[i]; i++) {
        g_autofree char *path = g_build_filename(folders[i], file, NULL);
        const char *const argv[] = {path, "--summary", NULL};
        if (access(path, X_OK) == 0) {
            char *text = ingot_process_output(argv, NULL);
            return text ? text : g_strdup("");
        }
    }
    return g_strdup("");
}

/* The verbs of the libexec folders that are not in the table, in order; NULL-terminated like a GStrv. */
static GPtrArray *further_verbs(const IngotVerb *verbs)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) folders = libexec_folders();

    for (guint i = 0; folders[i]; i++)
        add_verbs_of_folder(folders[i], names);
    for (; verbs->name; verbs++) {
        guint at;
        if (g_ptr_array_find_with_equal_func(names, verbs->name, g_str_equal, &at))
            g_ptr_array_remove_index(names, at);
    }
    g_ptr_array_sort(names, compare_names);
    g_ptr_array_add(names, NULL);
    return g_steal_pointer(&names);
}

static const IngotVerb own_verbs[];

static void print_help(FILE *out, const char *program, const char *summary, const IngotVerb *verbs)
{
    g_autoptr(GPtrArray) further = further_verbs(verbs);

    fprintf(out, "%s: %s\n\nUsage: %s VERB [OPTIONS] ARGUMENTS\n\nVerbs:\n", program, summary, program);
    for (; verbs->name; verbs++)
        fprintf(out, "  %-10s %s\n", verbs->name, verbs->summary);
    for (guint i = 0; i + 1 < further->len; i++) {
        g_autofree char *text = summary_of(further->pdata[i]);
        fprintf(out, "  %-10s %s\n", (const char *)further->pdata[i], text);
    }
    for (const IngotVerb *own = own_verbs; own->name; own++)
        fprintf(out, "  %-10s %s\n", own->name, own->summary);
    fprintf(out, "\n`%s help VERB` tells about one of them, with an example.\n", program);
}

static const IngotVerb *find_verb(const IngotVerb *verbs, const char *name)
{
    for (; verbs->name; verbs++)
        if (g_str_equal(verbs->name, name))
            return verbs;
    return NULL;
}

char *ingot_command_libexec(const char *name)
{
    g_auto(GStrv) folders = libexec_folders();

    for (guint i = 0; folders[i]; i++) {
        g_autofree char *path = g_build_filename(folders[i], name, NULL);
        if (access(path, X_OK) == 0)
            return g_steal_pointer(&path);
    }
    return NULL;
}

/* Returns only if there is no such program. */
static void exec_verb(const char *name, char **argv)
{
    g_autofree char *file = g_strconcat(PREFIX, name, NULL);
    g_autofree char *path = g_ascii_isalpha(*name) && !strchr(name, '/') ? ingot_command_libexec(file) : NULL;

    if (!path)
        return;
    argv[0] = path;
    execv(path, argv);
    g_printerr("ingot %s: cannot run %s: %s\n", name, path, g_strerror(errno));
    exit(1);
}

static int refuse_verb(const char *program, const IngotVerb *verbs, const char *name)
{
    g_autoptr(GPtrArray) words = further_verbs(verbs);

    for (; verbs->name; verbs++)
        g_ptr_array_insert(words, 0, g_strdup(verbs->name));
    g_autofree char *suggestion = ingot_text_suggestion(name, (const char *const *)words->pdata);
    g_printerr("%s: unknown %s '%s'%s; `%s --help` lists the verbs\n", program,
               *name == '-' ? "option before the verb" : "verb", name, suggestion, program);
    return 2;
}

/* --- verbs that every program has --- */

static struct {
    const char *program, *summary;
    const IngotVerb *verbs;
} running;

static gboolean run_help(int argc, char **argv, GError **error)
{
    char *asked[] = {NULL, "--help", NULL};
    if (!ingot_command_options(&own_verbs[0], NULL, 0, 1, &argc, &argv, error))
        return FALSE;
    if (argc == 1) {
        print_help(stdout, running.program, running.summary, running.verbs);
        return TRUE;
    }
    const IngotVerb *verb = find_verb(running.verbs, argv[1]);
    verb = verb ? verb : find_verb(own_verbs, argv[1]);
    asked[0] = argv[1];
    if (verb)
        return verb->run(2, asked, error); /* prints and exits */
    exec_verb(argv[1], asked);
    ingot_command_exit_with(refuse_verb(running.program, running.verbs, argv[1]));
    return TRUE;
}

static gboolean run_version(int argc, char **argv, GError **error)
{
    if (!ingot_command_options(&own_verbs[1], NULL, 0, 0, &argc, &argv, error))
        return FALSE;
    printf("%s %s\n", running.program, ingot_command_version());
    return TRUE;
}

static const IngotVerb own_verbs[] = {
    {"help", "[VERB]", "tell about a verb, or list them all", "Example:\n  ingot help push\n", run_help},
    {"version", "", "print the version", "Example:\n  ingot version\n", run_version},
    {NULL},
};

static int exit_status; /* of a verb that is done */

void ingot_command_exit_with(int status)
{
    exit_status = status;
}

/* Results that did not reach their reader are a failure; a reader that has seen enough (a closed pipe) knows it. */
static gboolean flush_output(GError **error)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return TRUE;
    return ingot_error_set_errno(error, errno ? errno : EIO, "cannot write to standard output");
}

static void show_note(const char *note)
{
    ingot_progress_message(ingot_command_progress(), "%s", note);
}

static gboolean output_told; /* how stdout has fared */
static gboolean streams;

void ingot_command_streams(void)
{
    streams = TRUE;
}

/* Whether stdout is a pipe whose reader has gone. */
static gboolean is_unread(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    return poll(&out, 1, 0) > 0 && out.revents & POLLERR;
}

/* A reader that has seen enough wants no message; a script that pipes sees the same status as of any other tool. */
static int end_unread(void)
{
    sigset_t pipes;
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
    sigprocmask(SIG_UNBLOCK, &pipes, NULL);
    return 128 + SIGPIPE;
}

/* Help is printed by whoever ends the process at once. A pipe whose reader has gone is no failure of it. */
static void check_help(void)
{
    g_autoptr(GError) error = NULL;

    if (output_told || flush_output(&error) || is_unread())
        return;
    g_printerr("%s: %s\n", g_get_prgname() ? g_get_prgname() : "ingot", error->message);
    _exit(1);
}

static int run_verb(const IngotVerb *verb, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *name = g_strconcat("ingot ", verb->name, NULL);

    g_set_prgname(name);
    ingot_lock_set_note(show_note);
    gboolean ran = verb->run(argc, argv, &error), told = ran && flush_output(&error);
    ingot_lock_set_note(NULL);
    output_told = TRUE;
    g_clear_pointer(&progress, ingot_progress_free);
    if (told)
        return exit_status;
    if ((ran || streams) && ingot_interrupt_check(NULL) && is_unread())
        return end_unread();
    /* Once a signal has come, whatever broke off did so for its sake. */
    if (!ingot_interrupt_check(NULL) && !g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_clear_error(&error);
        ingot_interrupt_check(&error);
    }
    g_autofree char *shown = ingot_secrets_clean(error->message);
    g_printerr("%s: %s\n", name, shown);
    return ingot_error_exit_status(error);
}

/* Names, help and messages are UTF-8 whatever the terminal's locale says; numbers stay plain. */
static void set_character_set(void)
{
    if (!setlocale(LC_CTYPE, "") || !g_str_equal(nl_langinfo(CODESET), "UTF-8"))
        setlocale(LC_CTYPE, "C.UTF-8");
}

/* The verb that the program's own name tells, as in ingot-validate. */
static const IngotVerb *verb_of_program(const IngotVerb *verbs, const char *path)
{
    g_autofree char *base = g_path_get_basename(path);
    return g_str_has_prefix(base, PREFIX) ? find_verb(verbs, base + strlen(PREFIX)) : NULL;
}

/* How many arguments an option takes up that all verbs share; 0: it is none of those. */
static int shared_option(const char *argument)
{
    static const char *const flags[] = {"-q", "--quiet", "--json", NULL};
    static const char *const values[] = {"--store", "--cache", "--ca", NULL};

    if (g_strv_contains(flags, argument))
        return 1;
    if (g_strv_contains(values, argument))
        return 2;
    for (guint i = 0; values[i]; i++)
        if (g_str_has_prefix(argument, values[i]) && argument[strlen(values[i])] == '=')
            return 1;
    return 0;
}

/* Moves the shared options that stand before the verb behind it: a copy of the list, NULL-terminated. Free it. */
static char **put_verb_first(int argc, char **argv)
{
    GPtrArray *all = g_ptr_array_new();
    int verb = 1, width;

    while (verb < argc && (width = shared_option(argv[verb])) > 0)
        verb += width;
    g_ptr_array_add(all, argv[0]);
    if (verb < argc)
        g_ptr_array_add(all, argv[verb]);
    for (int i = 1; i < argc && verb < argc; i++)
        if (i != verb)
            g_ptr_array_add(all, argv[i]);
    g_ptr_array_add(all, NULL);
    return (char **)g_ptr_array_free(all, FALSE);
}

/* A word that is no option, or the program's own options alone. */
static int run_words(const char *program, const char *summary, const IngotVerb *verbs, int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr, program, summary, verbs);
        return 2;
    }
    if (g_str_equal(argv[1], "--help") || g_str_equal(argv[1], "-h")) {
        print_help(stdout, program, summary, verbs);
        return 0;
    }
    if (g_str_equal(argv[1], "--version")) {
        printf("%s %s\n", program, ingot_command_version());
        return 0;
    }
    const IngotVerb *verb = find_verb(verbs, argv[1]);
    verb = verb ? verb : find_verb(own_verbs, argv[1]);
    if (verb)
        return run_verb(verb, argc - 1, argv + 1);
    exec_verb(argv[1], argv + 1);
    return refuse_verb(program, verbs, argv[1]);
}

int ingot_command_main(const char *program, const char *summary, const IngotVerb *verbs, int argc, char **argv)
{
    ingot_process_fill_standard();
    set_character_set();
    signal(SIGPIPE, SIG_IGN);
    atexit(check_help);
    ingot_interrupt_install();
    ingot_workdir_use(g_getenv("TMPDIR"));

    const IngotVerb *verb = argc > 0 ? verb_of_program(verbs, argv[0]) : NULL;
    if (verb && argc == 2 && g_str_equal(argv[1], "--summary")) { /* for the list of verbs */
        puts(verb->summary);
        return 0;
    }
    if (verb)
        return run_verb(verb, argc, argv);
    running.program = program;
    running.summary = summary;
    running.verbs = verbs;
    g_autofree char **words = argc > 0 ? put_verb_first(argc, argv) : NULL;
    return run_words(program, summary, verbs, words ? (int)g_strv_length(words) : 0, words);
}
