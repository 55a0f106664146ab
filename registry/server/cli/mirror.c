/* ingotd mirror: copies repositories of another registry, or the boxes of a catalogue, once or again and again. */
#include <ingot/error.h>
#include <poll.h>
#include <stdio.h>

#include "base/process.h"
#include "base/text.h"
#include "import/boxsite.h"
#include "server/cli/job.h"
#include "server/cli/verbs.h"

static void print_boxes(const json_t *outcome)
{
    g_autofree char *received = ingot_text_size(cli_job_number(outcome, "received"));
    guint64 left = cli_job_number(outcome, "left"), kept = cli_job_number(outcome, "kept");
    printf("%" G_GUINT64_FORMAT " boxes: %" G_GUINT64_FORMAT " versions released, %" G_GUINT64_FORMAT
           " files taken, %s over the network\n",
           cli_job_number(outcome, "boxes"), cli_job_number(outcome, "versions"), cli_job_number(outcome, "files"),
           received);
    if (left > 0) {
        printf("%" G_GUINT64_FORMAT " are left out\n", left);
    }
    if (kept > 0) {
        printf("%" G_GUINT64_FORMAT " files are others in the catalogue now, and stay what they were\n", kept);
    }
}

static void print_repositories(const json_t *outcome)
{
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

static void print_outcome(const json_t *outcome, const Job *job)
{
    if (job->kind == JOB_BOXES) {
        print_boxes(outcome);
    } else {
        print_repositories(outcome);
    }
}

static gboolean fail_boxes(guint64 failed, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                "%" G_GUINT64_FORMAT " boxes could not be had; the rest was: the next run goes on with them", failed);
    return FALSE;
}

static gboolean mirror_once(const char *data, const Job *job, gboolean json, GError **error)
{
    g_autoptr(json_t) outcome = cli_job(data, job, json, print_outcome, error);
    if (outcome == NULL) {
        return FALSE;
    }
    fflush(stdout);
    guint64 failed = cli_job_number(outcome, "failed"), left = cli_job_number(outcome, "left");
    if (job->kind == JOB_BOXES) {
        return failed == 0 || fail_boxes(failed, error);
    }
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

static gboolean name_repositories(Job *job, int argc, char **argv, GError **error)
{
    if (argc != 3) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: a registry and a pattern of names are expected: ingotd mirror --data DIR URL PATTERN",
                    argv[1]);
        return FALSE;
    }
    job->from = verb_url_of(argv[1], error);
    job->pattern = g_strdup(argv[2]);
    return job->from != NULL;
}

static gboolean name_boxes(Job *job, char **argv, GError **error)
{
    g_autoptr(BoxSite) site = box_site_new(argv[1], error);
    job->kind = JOB_BOXES;
    job->from = g_strdup(argv[1]);
    job->boxes = g_strdupv(argv + 2);
    return site != NULL;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_autofree char *data = NULL, *every = NULL;
    g_auto(Job) job = {.kind = JOB_MIRROR};
    gboolean json = FALSE, boxes = FALSE;
    guint64 seconds = 0;
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &data, "The registry's data folder", "DIR"},
        {"every", 0, 0, G_OPTION_ARG_STRING, &every, "Again after so long, until a signal comes", "AGE"},
        {"vagrant", 0, 0, G_OPTION_ARG_NONE, &boxes, "The boxes of a catalogue of Vagrant's", NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the outcome as JSON", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!verb_options(&verb_mirror, entries, 1, G_MAXINT, &argc, &argv, error) || !verb_needs_data(data, error) ||
        (every != NULL && !ingot_text_parse_duration(every, &seconds, error))) {
        return FALSE;
    }
    if (!(boxes ? name_boxes(&job, argv, error) : name_repositories(&job, argc, argv, error))) {
        return FALSE;
    }
    return seconds > 0 ? mirror_on(data, &job, json, seconds) : mirror_once(data, &job, json, error);
}

const Verb verb_mirror = {
    "mirror", "URL PATTERN", "copy repositories of another registry, or a catalogue of Vagrant boxes",
    "Those whose names match the pattern (* is any run of characters), with all tags and what is attached to them.\n"
    "From an ingotd only what is not here crosses the network. What is here and not there stays, and so does\n"
    "a channel that a pipeline of this registry guards: promote here what has come.\n\n"
    "With --vagrant, URL is a site that speaks Vagrant Cloud's API (1 or 2), HCP's, or Vagrant's own catalogue, a "
    "file\n"
    "of such a catalogue, or a folder of files (file:///FOLDER); behind it ORG/BOX..., ORG/* for all of an ORG, or\n"
    "nothing for all of its boxes. Each becomes an image, which the catalogue here gives as a box again. What breaks\n"
    "off is gone on with the next time; a box of a version that was released here stays what it is.\n\n"
    "Example:\n  ingotd mirror --data /srv/ingot --every 5m https://registry.example 'team/*'\n"
    "  ingotd mirror --data /srv/ingot --vagrant https://vagrantcloud.com generic/debian12 'team/*'\n",
    run};
