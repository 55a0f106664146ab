/* ingotd gc: collects garbage. */
#include <stdio.h>

#include "base/text.h"
#include "server/cli/job.h"
#include "server/cli/verbs.h"

static void print_outcome(const json_t *outcome, const Job *job)
{
    g_autofree char *bytes = ingot_text_size(cli_job_number(outcome, "bytes"));
    g_autofree char *freed = ingot_text_size(cli_job_number(outcome, "freed"));
    printf("%s: %" G_GUINT64_FORMAT " tags, %" G_GUINT64_FORMAT " manifests, %" G_GUINT64_FORMAT
           " unneeded blobs of repositories; %" G_GUINT64_FORMAT " blobs, %" G_GUINT64_FORMAT " pieces, %s",
           job->dry_run ? "would go" : "gone", cli_job_number(outcome, "tags"), cli_job_number(outcome, "manifests"),
           cli_job_number(outcome, "unneeded"), cli_job_number(outcome, "blobs"), cli_job_number(outcome, "pieces"),
           bytes);
    printf(job->dry_run ? "\n" : "; the packs are %s smaller\n", freed);
    if (cli_job_number(outcome, "held") > 0) {
        g_autofree char *held = ingot_text_size(cli_job_number(outcome, "held-bytes"));
        printf("still there: %" G_GUINT64_FORMAT
               " more pieces, %s, that a push or another server may need; a server lets them go soon after that\n",
               cli_job_number(outcome, "held"), held);
    }
    if (cli_job_number(outcome, "skipped") > 0) {
        printf("not written anew: %" G_GUINT64_FORMAT " packs (see above)\n", cli_job_number(outcome, "skipped"));
    }
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_autofree char *data = NULL, *grace = NULL, *untagged = NULL;
    g_auto(Job) job = {.kind = JOB_COLLECT};
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &data, "The registry's data folder", "DIR"},
        {"keep", 0, 0, G_OPTION_ARG_STRING_ARRAY, &job.keeps,
         "A policy: which tags of the repositories like PATTERN stay; may be given again", "PATTERN=RULE[,RULE...]"},
        {"grace", 0, 0, G_OPTION_ARG_STRING, &grace, "How long a blob that no manifest names stays (1d)", "AGE"},
        {"untagged-grace", 0, 0, G_OPTION_ARG_STRING, &untagged,
         "How long a manifest that nothing names stays (what --grace says, else 7d)", "AGE"},
        {"dry-run", 'n', 0, G_OPTION_ARG_NONE, &job.dry_run, "Say what would go; change nothing", NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the outcome as JSON", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!verb_options(&verb_gc, entries, 0, 0, &argc, &argv, error) || !verb_needs_data(data, error) ||
        !ingot_text_parse_duration(grace == NULL ? "1d" : grace, &job.grace, error) ||
        !ingot_text_parse_duration(untagged != NULL ? untagged
                                   : grace != NULL  ? grace
                                                    : "7d",
                                   &job.untagged, error)) {
        return FALSE;
    }
    g_autoptr(json_t) outcome = cli_job(data, &job, json, print_outcome, error);
    return outcome != NULL;
}

const Verb verb_gc = {
    "gc", "", "collect garbage, while serving or not",
    "What is deleted only stops being named; this gives its room back. So do manifests that nothing\n"
    "names any more. Policies let old tags go: the first --keep counts that fits a repository's name\n"
    "and speaks of the tag. Its rules: N (the newest N), age=TIME (pushed within), pulled=TIME (pulled\n"
    "within), channel=TIME (named by dev, test or prod within) stay; tags=GLOB says of which tags it\n"
    "speaks, else of versions. Channels, and what they name, always stay.\n\n"
    "Example:\n  ingotd gc --data /srv/ingot --keep 'team/*=10,age=30d' --dry-run\n",
    run};
