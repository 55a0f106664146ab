#include "cli/outcome.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixoutputstream.h>
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/command.h"
#include "base/file.h"
#include "base/json.h"
#include "base/secrets.h"
#include "base/text.h"
#include "check/check.h"

/* "built", "unchanged", "checked", "failed" or "skipped". */
static const char *recipe_word(const GraphRecipe *one)
{
    static const char *const words[] = {"skipped", "skipped", "built", "failed", "skipped"};
    if (one->state == GRAPH_DONE && one->checked_only) {
        return "checked";
    }
    return one->state == GRAPH_DONE && one->cached ? "unchanged" : words[one->state];
}

/* --- for people --- */

static void stages_summarize(const GraphRecipe *one, IngotProgress *progress)
{
    for (guint i = 0; one->report != NULL && i < one->report->steps->len; i++) {
        const ReportStep *step = g_ptr_array_index(one->report->steps, i);
        g_autofree char *time = step->seconds > 0 ? ingot_text_duration(step->seconds) : g_strdup("-");
        ingot_progress_message(progress, "  %-7s %10s  %s", report_state_word(step->state), time, step->title);
    }
}

void outcome_summarize(const Graph *graph, IngotProgress *progress)
{
    for (guint i = 0; i < graph->recipes->len; i++) {
        const GraphRecipe *one = g_ptr_array_index(graph->recipes, i);
        g_autofree char *time = ingot_text_duration(one->seconds);
        ingot_progress_message(progress, "%-9s %10s  %s", recipe_word(one), time, one->recipe->path);
        if (one->state == GRAPH_FAILED || (one->state == GRAPH_DONE && !one->cached)) {
            stages_summarize(one, progress);
        }
    }
}

void outcome_print(const Graph *graph)
{
    for (guint i = 0; i < graph->recipes->len; i++) {
        const GraphRecipe *one = g_ptr_array_index(graph->recipes, i);
        char digest[INGOT_DIGEST_TEXT_SIZE];
        if (!one->asked_for || one->state != GRAPH_DONE) {
            continue;
        }
        ingot_digest_write_text(&one->manifest.digest, digest);
        if (one->checked_only && ingot_command_common()->quiet) {
            continue; /* there is no digest: an earlier image's is not its own */
        }
        if (one->checked_only) {
            /* Nothing is stored under the name that an image would have. */
            printf("%s: steps and tests passed%s\n", one->recipe->path, one->cached ? " (nothing changed)" : "");
        } else if (ingot_command_common()->quiet) {
            printf("%s\n", digest);
        } else {
            printf("%s:%s %s%s\n", one->name, one->tag, digest, one->cached ? " (nothing changed)" : "");
        }
    }
    fflush(stdout);
}

/* --- for scripts --- */

static json_t *masked_text(const char *text)
{
    g_autofree char *clean = ingot_secrets_clean(text);
    return json_string(clean);
}

static json_t *steps_json(const BuildReport *report)
{
    json_t *steps = json_array();
    for (guint i = 0; report != NULL && i < report->steps->len; i++) {
        const ReportStep *step = g_ptr_array_index(report->steps, i);
        json_t *entry = json_object();
        json_object_set_new(entry, "title", masked_text(step->title));
        json_object_set_new(entry, "state", json_string(report_state_word(step->state)));
        json_object_set_new(entry, "cached", json_boolean(step->state == REPORT_CACHED));
        json_object_set_new(entry, "seconds", json_real(step->seconds));
        json_array_append_new(steps, entry);
    }
    return steps;
}

static json_t *recipe_json(const GraphRecipe *one)
{
    json_t *entry = json_object();
    json_object_set_new(entry, "recipe", masked_text(one->recipe->path));
    json_object_set_new(entry, "asked_for", json_boolean(one->asked_for));
    json_object_set_new(entry, "state", json_string(recipe_word(one)));
    ingot_json_set_string(entry, "name", one->name);
    ingot_json_set_string(entry, "tag", one->tag);
    if (one->state == GRAPH_DONE && !one->checked_only) {
        char digest[INGOT_DIGEST_TEXT_SIZE];
        ingot_digest_write_text(&one->manifest.digest, digest);
        json_object_set_new(entry, "digest", json_string(digest));
    }
    json_object_set_new(entry, "cached", json_boolean(one->cached));
    json_object_set_new(entry, "tested", json_boolean(one->report != NULL && one->report->tested));
    json_object_set_new(entry, "seconds", json_real(one->seconds));
    json_object_set_new(entry, "steps", steps_json(one->report));
    if (one->message != NULL) {
        json_object_set_new(entry, "error", masked_text(one->message));
    }
    return entry;
}

void outcome_print_json(const Graph *graph, const GError *failure)
{
    g_autoptr(json_t) outcome = json_object();
    json_t *recipes = json_array();
    for (guint i = 0; i < graph->recipes->len; i++) {
        json_array_append_new(recipes, recipe_json(g_ptr_array_index(graph->recipes, i)));
    }
    json_object_set_new(outcome, "ok", json_boolean(failure == NULL));
    if (failure != NULL) {
        json_object_set_new(outcome, "error", masked_text(failure->message));
    }
    json_object_set_new(outcome, "recipes", recipes);
    g_autofree char *text = ingot_json_pretty(outcome);
    fputs(text, stdout);
    fflush(stdout);
}

/* --- for CI servers --- */

/* A build is one case where no test tells how it ended. error: why it failed; NULL: it did not. */
static char *build_suite(const char *name, const char *file, const char *error, gboolean skipped, int seconds)
{
    gboolean failed = error != NULL;
    g_autofree char *message = ingot_secrets_clean(failed ? error : "");
    g_autofree char *path = ingot_text_line(file);
    g_autofree char *head =
        g_markup_printf_escaped("  <testsuite name=\"%s\" tests=\"1\" failures=\"0\" errors=\"%d\" skipped=\"%d\">\n"
                                "    <testcase classname=\"build\" name=\"%s\" time=\"%d\">\n",
                                name, failed, skipped, path, seconds);
    g_autofree char *what = failed ? g_markup_printf_escaped("      <error message=\"%s\"/>\n", message)
                                   : g_strdup(skipped ? "      <skipped/>\n" : "");
    return g_strconcat(head, what, "    </testcase>\n  </testsuite>\n", NULL);
}

/* A device, a pipe, or where a link leads is written to in its place, and stdout and stderr behind what they hold; only
 * a plain file is replaced as a whole. -1: there is none of these; -2: an error. */
static int junit_stream(const char *path, GError **error)
{
    struct stat name, there, own;
    if (lstat(path, &name) != 0 || S_ISREG(name.st_mode)) {
        return -1;
    }
    gboolean exists = stat(path, &there) == 0;
    for (int fd = STDOUT_FILENO; exists && fd <= STDERR_FILENO; fd++) {
        if (fstat(fd, &own) == 0 && own.st_dev == there.st_dev && own.st_ino == there.st_ino) {
            fflush(NULL);
            int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
            return copy >= 0 || ingot_error_set_errno(error, errno, "%s", path) ? copy : -2;
        }
    }
    int fd = ingot_file_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666, error);
    return fd < 0 ? -2 : fd;
}

static void add_suite(GString *suites, const GraphRecipe *one)
{
    gboolean failed = one->state == GRAPH_FAILED;
    const char *message = one->message != NULL ? one->message : "";
    g_autofree char *suite = build_suite(one->recipe->name, one->recipe->path, failed ? message : NULL,
                                         one->state != GRAPH_DONE && !failed, (int)one->seconds);
    g_string_append(suites, suite);
}

static gboolean write_document(const char *suites, const char *path, GError **error)
{
    g_autofree char *document = check_junit(suites);
    int fd = junit_stream(path, error);
    if (fd < 0) {
        g_autofree char *folder = g_path_get_dirname(path);
        return fd == -1 && ingot_file_make_folder(folder, error) && g_file_set_contents(path, document, -1, error);
    }
    g_autoptr(GOutputStream) stream = g_unix_output_stream_new(fd, TRUE);
    gboolean ok = g_output_stream_write_all(stream, document, strlen(document), NULL, NULL, error) &&
                  g_output_stream_close(stream, NULL, error);
    if (!ok) {
        g_prefix_error(error, "%s: ", path);
    }
    return ok;
}

gboolean outcome_write_junit(const Graph *graph, const char *path, GError **error)
{
    g_autoptr(GString) suites = g_string_new(NULL);
    for (guint i = 0; i < graph->recipes->len; i++) {
        const GraphRecipe *one = g_ptr_array_index(graph->recipes, i);
        gboolean tests = one->report != NULL && one->report->suite != NULL;
        if (tests) {
            g_string_append(suites, one->report->suite);
        }
        /* What failed after the tests had passed is in none of them. */
        if (!tests || (one->state == GRAPH_FAILED && one->report->failures == 0)) {
            add_suite(suites, one);
        }
    }
    return write_document(suites->str, path, error);
}

gboolean outcome_refuse_junit(const GPtrArray *recipes, const GError *failure, const char *path, GError **error)
{
    g_autoptr(GString) suites = g_string_new(NULL);
    for (guint i = 0; i < recipes->len; i++) {
        g_autofree char *shown = g_filename_display_name(g_ptr_array_index(recipes, i));
        g_autofree char *name = ingot_text_line(shown);
        g_autofree char *suite = build_suite(name, shown, failure->message, FALSE, 0);
        g_string_append(suites, suite);
    }
    return write_document(suites->str, path, error);
}

/* The folder that is there, of those that are made on the way to a file. Free it. */
static char *folder_there(const char *path)
{
    char *folder = g_path_get_dirname(path);
    while (!g_file_test(folder, G_FILE_TEST_EXISTS) && strcmp(folder, ".") != 0) {
        g_autofree char *below = folder;
        folder = g_path_get_dirname(below);
    }
    return folder;
}

gboolean outcome_check_junit(const char *path, GError **error)
{
    struct stat st;
    g_autofree char *folder = folder_there(path);
    /* A plain file is replaced, for which its folder counts; of a device or a pipe nothing is known before. */
    gboolean special = stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
    gboolean is_folder = g_file_test(path, G_FILE_TEST_IS_DIR);
    if (special || (!is_folder && access(folder, W_OK) == 0 && g_file_test(folder, G_FILE_TEST_IS_DIR))) {
        return TRUE;
    }
    g_autofree char *unwritable = g_strdup_printf("%s is no folder that you may write to", folder);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--junit %s: it cannot be written: %s", path,
                is_folder ? "it is a folder" : unwritable);
    return FALSE;
}
