#include "server/cli/job.h"

#include <ingot/error.h>

#include "server/upkeep/control.h"

static void print_line(const char *line, gpointer user)
{
    fprintf(user, "%s\n", line);
}

json_t *cli_job(const char *data, const Job *job, FILE *out, GError **error)
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
    if (job->kind != JOB_MIRROR && !g_file_test(data, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: not there", data);
        return NULL;
    }
    g_autoptr(Storage) storage = storage_open(data, error);
    return storage == NULL ? NULL : job_run(storage, job, print_line, out, error);
}
