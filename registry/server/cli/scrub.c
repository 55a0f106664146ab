/* ingotd scrub: reads all that is stored and compares it with what it should be. */
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "server/cli/job.h"
#include "server/cli/verbs.h"

static void print_outcome(const json_t *outcome, const Job *job)
{
    (void)job;
    g_autofree char *bytes = ingot_text_size(cli_job_number(outcome, "bytes"));
    printf("read: %" G_GUINT64_FORMAT " pieces, %s; repaired: %" G_GUINT64_FORMAT "\n",
           cli_job_number(outcome, "pieces"), bytes, cli_job_number(outcome, "repaired"));
}

static gboolean judge(const json_t *outcome, GError **error)
{
    guint64 damaged = cli_job_number(outcome, "damaged"), inconsistencies = cli_job_number(outcome, "inconsistencies");
    if (damaged + inconsistencies > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%" G_GUINT64_FORMAT " damaged pieces, %" G_GUINT64_FORMAT " inconsistencies", damaged,
                    inconsistencies);
    }
    return damaged + inconsistencies == 0;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_autofree char *data = NULL, *rate = NULL, *from = NULL;
    g_auto(Job) job = {.kind = JOB_SCRUB};
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &data, "The registry's data folder", "DIR"},
        {"rate", 0, 0, G_OPTION_ARG_STRING, &rate, "Read at most so many bytes a second (0: no bound)", "SIZE"},
        {"from", 0, 0, G_OPTION_ARG_STRING, &from, "Repair what is damaged from this registry", "URL"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the outcome as JSON", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!verb_options(&verb_scrub, entries, 0, 0, &argc, &argv, error) || !verb_needs_data(data, error) ||
        (rate != NULL && !ingot_text_parse_size(rate, &job.rate, error))) {
        return FALSE;
    }
    job.from = from == NULL ? NULL : verb_url_of(from, error);
    g_autoptr(json_t) outcome =
        from != NULL && job.from == NULL ? NULL : cli_job(data, &job, json, print_outcome, error);
    return outcome != NULL && judge(outcome, error);
}

const Verb verb_scrub = {
    "scrub", "", "look for damage, and repair it from elsewhere",
    "Every piece is read and hashed, the tables of the packs, the catalogue and the log of events are\n"
    "compared. Says which images need what is damaged, and ends with status 1 if anything is. A\n"
    "damaged piece is replaced when any client pushes it again, or at once --from where it is.\n\n"
    "Example:\n  ingotd scrub --data /srv/ingot --rate 50M --from https://mirror.example\n",
    run};
