#include "server/upkeep/upkeep.h"

#include <ingot/json.h>

#include "server/http/log.h"
#include "server/upkeep/control.h"

struct Upkeep {
    Storage *storage;
    const UpkeepOptions *options;
    Control *control;
    GThread *thread;
    GMutex running; /* held by the one job that runs */
    GMutex lock;    /* guards what follows */
    GCond wake;
    gboolean stopping;
    UpkeepFigures figures;
};

static guint64 number(const json_t *outcome, const char *key)
{
    return (guint64)json_integer_value(json_object_get(outcome, key));
}

static void count(Upkeep *upkeep, const Job *job, const json_t *outcome)
{
    UpkeepFigures *figures = &upkeep->figures;
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    g_mutex_lock(&upkeep->lock);
    if (job->kind == JOB_SCRUB) {
        figures->scrubs++;
        figures->scrubbed_bytes += number(outcome, "bytes");
        figures->damaged = number(outcome, "damaged");
        figures->repaired = number(outcome, "repaired");
        figures->inconsistencies = number(outcome, "inconsistencies");
        figures->last_scrub = now;
    } else if (job->kind == JOB_COLLECT && !job->dry_run) {
        figures->collections++;
        figures->collected_pieces += number(outcome, "pieces");
        figures->freed_bytes += number(outcome, "freed");
        figures->last_collection = now;
    }
    g_mutex_unlock(&upkeep->lock);
}

static json_t *run(const Job *job, JobTell tell, gpointer to, gpointer user, GError **error)
{
    Upkeep *upkeep = user;
    /* A mirroring waits for another registry, and is nothing but a push to this one. */
    gboolean alone = job->kind != JOB_MIRROR;
    if (alone) {
        g_mutex_lock(&upkeep->running);
    }
    json_t *outcome = job_run(upkeep->storage, job, tell, to, error);
    if (alone) {
        g_mutex_unlock(&upkeep->running);
    }
    if (outcome != NULL) {
        count(upkeep, job, outcome);
    }
    return outcome;
}

static void log_line(const char *line, gpointer user)
{
    log_info("%s: %s", (const char *)user, line);
}

static void run_own(Upkeep *upkeep, const Job *job)
{
    g_autoptr(GError) error = NULL;
    char *name = job->kind == JOB_SCRUB ? "scrub" : "gc";
    g_autoptr(json_t) outcome = run(job, log_line, name, upkeep, &error);
    g_autofree char *text = outcome == NULL ? g_strdup(error->message) : ingot_json_canonical(outcome);
    log_line(text, name);
}

static gint64 after(guint64 seconds)
{
    return seconds == 0 ? G_MAXINT64 : g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
}

/* Until one of the two is due; FALSE: it is to end. */
static gboolean wait_until(Upkeep *upkeep, gint64 due)
{
    g_mutex_lock(&upkeep->lock);
    while (!upkeep->stopping && g_get_monotonic_time() < due) {
        if (due == G_MAXINT64) {
            g_cond_wait(&upkeep->wake, &upkeep->lock);
        } else {
            g_cond_wait_until(&upkeep->wake, &upkeep->lock, due);
        }
    }
    gboolean goes_on = !upkeep->stopping;
    g_mutex_unlock(&upkeep->lock);
    return goes_on;
}

static gpointer keep_up(gpointer user)
{
    Upkeep *upkeep = user;
    const UpkeepOptions *options = upkeep->options;
    const Job collect = {
        .kind = JOB_COLLECT, .grace = options->grace, .untagged = options->untagged, .keeps = options->keeps};
    const Job scrub = {.kind = JOB_SCRUB, .rate = options->scrub_rate, .from = options->scrub_from};
    gint64 collect_due = after(options->collect_every), scrub_due = after(options->scrub_every);
    while (wait_until(upkeep, MIN(collect_due, scrub_due))) {
        if (collect_due <= scrub_due) {
            run_own(upkeep, &collect);
            collect_due = after(options->collect_every);
        } else {
            run_own(upkeep, &scrub);
            scrub_due = after(options->scrub_every);
        }
    }
    return NULL;
}

Upkeep *upkeep_start(Storage *storage, const char *data, const UpkeepOptions *options, GError **error)
{
    Upkeep *upkeep = g_new0(Upkeep, 1);
    upkeep->storage = storage;
    upkeep->options = options;
    g_mutex_init(&upkeep->running);
    g_mutex_init(&upkeep->lock);
    g_cond_init(&upkeep->wake);
    upkeep->control = control_start(data, run, upkeep, error);
    if (upkeep->control == NULL) {
        upkeep_stop(upkeep);
        return NULL;
    }
    upkeep->thread = g_thread_new("upkeep", keep_up, upkeep);
    return upkeep;
}

void upkeep_stop(Upkeep *upkeep)
{
    if (upkeep == NULL) {
        return;
    }
    g_mutex_lock(&upkeep->lock);
    upkeep->stopping = TRUE;
    g_cond_signal(&upkeep->wake);
    g_mutex_unlock(&upkeep->lock);
    if (upkeep->thread != NULL) {
        g_thread_join(upkeep->thread);
    }
    control_stop(upkeep->control);
    g_cond_clear(&upkeep->wake);
    g_mutex_clear(&upkeep->lock);
    g_mutex_clear(&upkeep->running);
    g_free(upkeep);
}

void upkeep_figures(Upkeep *upkeep, UpkeepFigures *figures)
{
    g_mutex_lock(&upkeep->lock);
    *figures = upkeep->figures;
    g_mutex_unlock(&upkeep->lock);
}
