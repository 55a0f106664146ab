#include "server/cli/job.h"

#include <ingot/error.h>
#include <stdio.h>

#include "server/cli/owner.h"
#include "server/cli/verbs.h"
#include "server/upkeep/control.h"

static void print_line(const char *line, gpointer user)
{
    fprintf(user, "%s\n", line);
}

static json_t *run(const char *data, const Job *job, FILE *out, GError **error)
{
    gboolean served;
    GError *problem = NULL;
    json_t *outcome = control_ask(data, job, print_line, out, &served, &problem);
    if (served) {
        if (problem != NULL) {
            g_propagate_error(error, problem);
        }
        return outcome;
    }
    g_clear_error(&problem);
    /* A mirror may begin with nothing; what else is done is done to what is there. */
    if (job->kind != JOB_MIRROR && job->kind != JOB_BOXES && !verb_finds_data(data, error)) {
        return NULL;
    }
    g_autoptr(Storage) storage = owner_assume(data, error) ? storage_open(data, error) : NULL;
    return storage == NULL ? NULL : job_run(storage, job, print_line, out, error);
}

json_t *cli_job(const char *data, const Job *job, gboolean json, JobPrint print, GError **error)
{
    json_t *outcome = run(data, job, json ? stderr : stdout, error);
    if (outcome != NULL && json) {
        g_autofree char *text = ingot_json_pretty(outcome);
        fputs(text, stdout);
    } else if (outcome != NULL) {
        print(outcome, job);
    }
    return outcome;
}

guint64 cli_job_number(const json_t *outcome, const char *key)
{
    return (guint64)json_integer_value(json_object_get(outcome, key));
}
