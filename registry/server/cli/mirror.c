/* ingotd mirror: copies repositories of another registry, once or again and again. */
#include <ingot/error.h>
#include <poll.h>
#include <stdio.h>

#include "base/process.h"
#include "base/text.h"
#include "server/cli/job.h"
#include "server/cli/verbs.h"

static void print_outcome(const json_t *outcome, const Job *job)
{
    (void)job;
    g_autofree char *received = ingot_text_size(cli_job_number(outcome, "received"));
    printf("%" G_GUINT64_FORMAT " repositories: %" G_GUINT64_FORMAT " tags, %" G_GUINT64_FORMAT
           " manifests, %" G_GUINT64_FORMAT " blobs copied, %s over the network\n",
           cli_job_number(outcome, "repositories"), cli_job_number(outcome, "tags"),
           cli_job_number(outcome, "manifests"), cli_job_number(outcome, "blobs"), received);
    guint64 kept = cli_job_number(outcome, "kept");
    if (kept > 0) {
        printf("%" G_GUINT64_FORMAT " channels name something else here, and stay\n", kept);
    }
}

static gboolean mirror_once(const char *data, const Job *job, gboolean json, GError **error)
{
    g_autoptr(json_t) outcome = cli_job(data, job, json, print_outcome, error);
    if (outcome == NULL) {
        return FALSE;
    }
    fflush(stdout);
    guint64 failed = cli_job_number(outcome, "failed"), left = cli_job_number(outcome, "left");
    if (failed + left > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "%" G_GUINT64_FORMAT " tags and %" G_GUINT64_FORMAT
                    " attachments could not be copied; the rest was",
                    failed, left);
    }
    return failed + left == 0;
}

/* FALSE: a signal came. */
static gboolean sleep_for(guint64 seconds)
{
    struct pollfd wait = {.fd = ingot_interrupt_fd(), .events = POLLIN};
    return poll(&wait, 1, (int)MIN(seconds, (guint64)G_MAXINT / 1000) * 1000) == 0;
}

/* A registry that can't be reached now may be reached the next time. */
static gboolean mirror_on(const char *data, const Job *job, gboolean json, guint64 every)
{
    do {
        g_autoptr(GError) error = NULL;
        if (!mirror_once(data, job, json, &error)) {
            g_autofree char *why = ingot_text_line(error->message);
            fprintf(stderr, "ingotd mirror: %s\n", why);
        }
    } while (sleep_for(every));
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_autofree char *data = NULL, *every = NULL;
    g_auto(Job) job = {.kind = JOB_MIRROR};
    gboolean json = FALSE;
    guint64 seconds = 0;
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &data, "The registry's data folder", "DIR"},
        {"every", 0, 0, G_OPTION_ARG_STRING, &every, "Again after so long, until a signal comes", "AGE"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the outcome as JSON", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!verb_options(&verb_mirror, entries, 2, 2, &argc, &argv, error) || !verb_needs_data(data, error) ||
        (every != NULL && !ingot_text_parse_duration(every, &seconds, error))) {
        return FALSE;
    }
    job.from = verb_url_of(argv[1], error);
    job.pattern = g_strdup(argv[2]);
    if (job.from == NULL) {
        return FALSE;
    }
    return seconds > 0 ? mirror_on(data, &job, json, seconds) : mirror_once(data, &job, json, error);
}

const Verb verb_mirror = {
    "mirror", "URL PATTERN", "copy repositories of another registry",
    "Those whose names match the pattern (* is any run of characters), with all tags and what is attached to them.\n"
    "From an ingotd only what is not here crosses the network. What is here and not there stays, and so does\n"
    "a channel that a pipeline of this registry guards: promote here what has come.\n\n"
    "Example:\n  ingotd mirror --data /srv/ingot --every 5m https://registry.example 'team/*'\n",
    run};
