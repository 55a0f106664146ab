#include "server/upkeep/upkeep.h"

#include <ingot/error.h>

#include "base/crew.h"
#include "base/json.h"
#include "base/text.h"
#include "server/http/log.h"
#include "server/storage/agenda.h"
#include "server/storage/bases.h"
#include "server/storage/collect.h"
#include "server/storage/evict.h"
#include "server/storage/lapse.h"
#include "server/storage/pulls.h"
#include "server/upkeep/control.h"

#define FLUSH_EVERY 60  /* seconds: how often pulls are noted, and uploads go that nobody goes on with */
#define RETRY_EVERY 600 /* seconds: how soon what failed is tried again */
#define SWEEP_EVERY 30  /* seconds: how often it is looked whether what a collection had to leave can go */
#define SLICE 60        /* seconds of a scrub, until it is looked whether garbage is to be collected */

struct Upkeep {
    Storage *storage;
    const UpkeepOptions *options;
    Control *control;
    GThread *thread;              /* of the jobs */
    GThread *tidier;              /* of what is short, and waits for no job */
    GMutex collecting, scrubbing; /* held by the one job of its kind that runs */
    GMutex lock;                  /* guards what follows */
    GCond wake;
    GHashTable *mirrors; /* "PATTERN of URL" of those that run */
    gboolean stopping;
    UpkeepFigures figures;
    Agenda agenda;
    gboolean held; /* the last collection, or sweep, had to leave something */
    /* The thread's own, on the clock that nobody sets (upkeep_ticks): not before then, */
    gint64 collect_again, scrub_again; /* after a failure, */
    gint64 evict_again;                /* where what takes too much room can't go, */
    gint64 merge_again;                /* where small packs have to stay as they are */
    gint64 sweep_again;
};

static guint64 number(const json_t *outcome, const char *key)
{
    return (guint64)json_integer_value(json_object_get(outcome, key));
}

static gint64 upkeep_now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

/* Seconds since some moment, whatever the time of day is set to. */
static gint64 upkeep_ticks(void)
{
    return g_get_monotonic_time() / G_USEC_PER_SEC;
}

/* What a whole scrub, or its slices together, have found. */
static void count_scrub(Upkeep *upkeep, const Job *job, const json_t *outcome)
{
    UpkeepFigures *figures = &upkeep->figures;
    Agenda *agenda = &upkeep->agenda;
    ScrubReport sum = {0};
    if (job->slice > 0 && job->place.pack != 0) {
        sum = agenda->so_far;
    }
    sum.pieces += number(outcome, "pieces");
    sum.bytes += number(outcome, "bytes");
    sum.damaged += number(outcome, "damaged");
    sum.repaired += number(outcome, "repaired");
    sum.inconsistencies += number(outcome, "inconsistencies");
    ScrubPlace place = {.pack = (gint64)number(outcome, "pack"), .offset = number(outcome, "offset")};
    gboolean ended = place.pack == 0;
    figures->scrubbed_bytes += number(outcome, "bytes");
    if (ended || sum.damaged + sum.inconsistencies > figures->damaged + figures->inconsistencies) {
        figures->damaged = sum.damaged;
        figures->repaired = sum.repaired;
        figures->inconsistencies = sum.inconsistencies;
    }
    agenda->place = place;
    agenda->so_far = sum;
    if (ended) {
        agenda->so_far = (ScrubReport){0};
        figures->scrubs++;
        figures->last_scrub = agenda->scrubbed = upkeep_now();
    }
}

static void count(Upkeep *upkeep, const Job *job, const json_t *outcome)
{
    UpkeepFigures *figures = &upkeep->figures;
    g_mutex_lock(&upkeep->lock);
    if (job->kind == JOB_SCRUB) {
        count_scrub(upkeep, job, outcome);
    } else if ((job->kind == JOB_COLLECT || job->kind == JOB_SWEEP) && !job->dry_run) {
        figures->collected_pieces += number(outcome, "pieces");
        figures->freed_bytes += number(outcome, "freed");
        upkeep->held = number(outcome, "held") > 0;
    }
    if (job->kind == JOB_COLLECT && !job->dry_run) {
        figures->collections++;
        figures->last_collection = upkeep->agenda.collected = upkeep_now();
    }
    Agenda agenda = upkeep->agenda;
    g_mutex_unlock(&upkeep->lock);
    g_autoptr(GError) error = NULL;
    if ((job->kind == JOB_SCRUB || job->kind == JOB_COLLECT) && !job->dry_run &&
        !agenda_write(upkeep->storage, &agenda, &error)) {
        log_warning("upkeep: when it ended is not noted: %s", error->message);
    }
}

/* Held while the job runs; NULL: a dry run reads. (A mirroring waits for another registry, and is nothing but a push to
 * this one.) */
static GMutex *lock_of(Upkeep *upkeep, const Job *job)
{
    gboolean collects = (job->kind == JOB_COLLECT || job->kind == JOB_SWEEP || job->kind == JOB_MERGE) && !job->dry_run;
    return job->kind == JOB_SCRUB ? &upkeep->scrubbing : collects ? &upkeep->collecting : NULL;
}

/* A mirroring that takes longer than the interval of those who ask for it would soon run many times. EXISTS. */
static gboolean mirror_begin(Upkeep *upkeep, const char *key, GError **error)
{
    g_mutex_lock(&upkeep->lock);
    gboolean added = g_hash_table_add(upkeep->mirrors, g_strdup(key));
    g_mutex_unlock(&upkeep->lock);
    if (!added) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s is being mirrored already", key);
    }
    return added;
}

static json_t *run_mirror(Upkeep *upkeep, const Job *job, JobTell tell, gpointer to, GError **error)
{
    g_autofree char *from = ingot_text_url(job->from);
    g_autofree char *boxes = job->kind == JOB_BOXES ? g_strjoinv(" ", job->boxes) : NULL;
    const char *names = boxes == NULL ? job->pattern : *boxes == '\0' ? "all" : boxes;
    g_autofree char *key = g_strdup_printf("%s of %s", names, from);
    if (!mirror_begin(upkeep, key, error)) {
        return NULL;
    }
    json_t *outcome = job_run(upkeep->storage, job, tell, to, error);
    g_mutex_lock(&upkeep->lock);
    g_hash_table_remove(upkeep->mirrors, key);
    g_mutex_unlock(&upkeep->lock);
    return outcome;
}

static json_t *run(const Job *job, JobTell tell, gpointer to, gpointer user, GError **error)
{
    Upkeep *upkeep = user;
    if (job->kind == JOB_MIRROR || job->kind == JOB_BOXES) {
        return run_mirror(upkeep, job, tell, to, error);
    }
    GMutex *lock = lock_of(upkeep, job);
    if (lock != NULL) {
        g_mutex_lock(lock);
    }
    json_t *outcome = job_run(upkeep->storage, job, tell, to, error);
    if (lock != NULL) {
        g_mutex_unlock(lock);
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

static gboolean run_own(Upkeep *upkeep, const Job *job)
{
    g_autoptr(GError) error = NULL;
    char *name = job->kind == JOB_SCRUB   ? "scrub"
                 : job->kind == JOB_MERGE ? "merge"
                 : job->kind == JOB_SWEEP ? "sweep"
                                          : "gc";
    g_autoptr(json_t) outcome = run(job, log_line, name, upkeep, &error);
    g_autofree char *text = outcome == NULL ? g_strdup(error->message) : ingot_json_canonical(outcome);
    log_line(text, name);
    return outcome != NULL;
}

/* --- when --- */

/* Seconds until it is due. A time that lies ahead was written before the clock was set back: the interval begins
 * anew. */
static gint64 due_in(gint64 *last, guint64 every)
{
    gint64 now = upkeep_now();
    *last = MIN(*last, now);
    return every == 0 ? G_MAXINT64 : *last + (gint64)every - now;
}

/* For so many seconds, or for a minute, whichever is less; FALSE: it is to end. */
static gboolean wait_for(Upkeep *upkeep, gint64 due)
{
    gint64 seconds = CLAMP(due, 0, FLUSH_EVERY);
    gint64 end = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;
    g_mutex_lock(&upkeep->lock);
    while (!upkeep->stopping && g_get_monotonic_time() < end) {
        g_cond_wait_until(&upkeep->wake, &upkeep->lock, end);
    }
    gboolean goes_on = !upkeep->stopping;
    g_mutex_unlock(&upkeep->lock);
    return goes_on;
}

static void flush_pulls(Upkeep *upkeep)
{
    g_autoptr(GError) error = NULL;
    if (!pulls_flush(upkeep->storage, &error)) {
        log_warning("upkeep: pulls are noted later: %s", error->message);
    }
}

/* Many small pushes leave many small packs: they are merged without waiting for the next collection. */
static void merge_when_scattered(Upkeep *upkeep)
{
    const Job job = {.kind = JOB_MERGE};
    gboolean scattered;
    g_autoptr(GError) error = NULL;
    if (upkeep->options->collect_every == 0 || upkeep_ticks() < upkeep->merge_again) {
        return;
    }
    if (!storage_is_scattered(upkeep->storage, &scattered, &error)) {
        log_warning("upkeep: the packs can't be counted: %s", error->message);
    } else if (scattered) {
        run_own(upkeep, &job);
        upkeep->merge_again = upkeep_ticks() + RETRY_EVERY; /* some may have to stay as they are */
    }
}

/* What a collection had to leave goes when those have ended who may need it. In how many seconds it is to be looked
 * again. */
static gint64 sweep_when_due(Upkeep *upkeep)
{
    const Job job = {.kind = JOB_SWEEP};
    gint64 ticks = upkeep_ticks();
    gboolean due;
    g_autoptr(GError) error = NULL;
    g_mutex_lock(&upkeep->lock);
    gboolean held = upkeep->held;
    g_mutex_unlock(&upkeep->lock);
    if (!held || ticks < upkeep->sweep_again) {
        return held ? upkeep->sweep_again - ticks : G_MAXINT64;
    }
    upkeep->sweep_again = ticks + SWEEP_EVERY;
    if (!storage_sweep_is_due(upkeep->storage, &due, &error)) {
        log_warning("upkeep: garbage that was left can't be looked at: %s", error->message);
    } else if (due) {
        run_own(upkeep, &job);
    }
    return SWEEP_EVERY;
}

/* In how many seconds it is to be looked again. */
static gint64 collect_when_due(Upkeep *upkeep)
{
    const UpkeepOptions *options = upkeep->options;
    const Job job = {
        .kind = JOB_COLLECT, .grace = options->grace, .untagged = options->untagged, .keeps = options->keeps};
    const gint64 retry = (gint64)MIN(RETRY_EVERY, options->collect_every), ticks = upkeep_ticks();
    g_mutex_lock(&upkeep->lock);
    gint64 due = due_in(&upkeep->agenda.collected, options->collect_every);
    g_mutex_unlock(&upkeep->lock);
    gboolean full = ticks >= upkeep->evict_again && eviction_is_due(upkeep->storage);
    if (ticks < upkeep->collect_again || (due > 0 && !full)) {
        return MAX(due, upkeep->collect_again - ticks);
    }
    upkeep->evict_again = ticks + RETRY_EVERY;
    if (!run_own(upkeep, &job)) {
        upkeep->collect_again = ticks + retry;
    }
    return retry;
}

/* One slice, where one is due; in how many seconds it is to be looked again. */
static gint64 scrub_when_due(Upkeep *upkeep)
{
    const UpkeepOptions *options = upkeep->options;
    Job job = {.kind = JOB_SCRUB, .rate = options->scrub_rate, .from = options->scrub_from, .slice = SLICE};
    gint64 ticks = upkeep_ticks();
    g_mutex_lock(&upkeep->lock);
    gint64 due = due_in(&upkeep->agenda.scrubbed, options->scrub_every);
    job.place = upkeep->agenda.place;
    g_mutex_unlock(&upkeep->lock);
    if (due > 0 || ticks < upkeep->scrub_again) {
        return MAX(due, upkeep->scrub_again - ticks);
    }
    if (!run_own(upkeep, &job)) {
        upkeep->scrub_again = ticks + (gint64)MIN(RETRY_EVERY, options->scrub_every);
    }
    return 0; /* the next slice, or what has become due meanwhile */
}

static gpointer tidy_up(gpointer user)
{
    Upkeep *upkeep = user;
    while (wait_for(upkeep, FLUSH_EVERY)) {
        flush_pulls(upkeep);
        uploads_drop_lapsed(upkeep->storage);
    }
    return NULL;
}

static gboolean is_going_on(gpointer user)
{
    return wait_for(user, 0);
}

/* Of a catalogue that an older version has made, once. */
static void read_bases(Upkeep *upkeep)
{
    g_autoptr(GError) error = NULL;
    if (!storage_read_bases(upkeep->storage, is_going_on, upkeep, &error) && error != NULL) {
        log_warning("upkeep: what images stand on is read at the next start: %s", error->message);
    }
}

static gpointer keep_up(gpointer user)
{
    Upkeep *upkeep = user;
    gint64 due = 0;
    read_bases(upkeep);
    while (wait_for(upkeep, due)) {
        merge_when_scattered(upkeep);
        gint64 collect_due = collect_when_due(upkeep), sweep_due = sweep_when_due(upkeep);
        due = MIN(MIN(collect_due, sweep_due), scrub_when_due(upkeep));
    }
    return NULL;
}

/* A folder that upkeep has never worked on counts as fresh: its intervals begin now. */
static void read_agenda(Upkeep *upkeep)
{
    Agenda *agenda = &upkeep->agenda;
    agenda_read(upkeep->storage, agenda);
    upkeep->figures.last_collection = agenda->collected;
    upkeep->figures.last_scrub = agenda->scrubbed;
    if (agenda->collected == 0 || agenda->scrubbed == 0) {
        agenda->collected = agenda->collected == 0 ? upkeep_now() : agenda->collected;
        agenda->scrubbed = agenda->scrubbed == 0 ? upkeep_now() : agenda->scrubbed;
        agenda_write(upkeep->storage, agenda, NULL);
    }
}

Upkeep *upkeep_start(Storage *storage, const char *data, const UpkeepOptions *options, GError **error)
{
    Upkeep *upkeep = g_new0(Upkeep, 1);
    upkeep->storage = storage;
    upkeep->options = options;
    g_mutex_init(&upkeep->collecting);
    g_mutex_init(&upkeep->scrubbing);
    g_mutex_init(&upkeep->lock);
    g_cond_init(&upkeep->wake);
    upkeep->mirrors = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    read_agenda(upkeep);
    upkeep->control = control_start(data, run, upkeep, error);
    upkeep->thread = upkeep->control == NULL ? NULL : crew_thread("upkeep", keep_up, upkeep, error);
    upkeep->tidier = upkeep->thread == NULL ? NULL : crew_thread("tidy", tidy_up, upkeep, error);
    if (upkeep->tidier == NULL) {
        upkeep_stop(upkeep);
        return NULL;
    }
    return upkeep;
}

void upkeep_stop(Upkeep *upkeep)
{
    if (upkeep == NULL) {
        return;
    }
    g_mutex_lock(&upkeep->lock);
    upkeep->stopping = TRUE;
    g_cond_broadcast(&upkeep->wake);
    g_mutex_unlock(&upkeep->lock);
    GThread *threads[] = {upkeep->thread, upkeep->tidier};
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        if (threads[i] != NULL) {
            g_thread_join(threads[i]);
        }
    }
    control_stop(upkeep->control);
    g_hash_table_unref(upkeep->mirrors);
    g_cond_clear(&upkeep->wake);
    g_mutex_clear(&upkeep->lock);
    g_mutex_clear(&upkeep->collecting);
    g_mutex_clear(&upkeep->scrubbing);
    g_free(upkeep);
}

void upkeep_figures(Upkeep *upkeep, UpkeepFigures *figures)
{
    g_mutex_lock(&upkeep->lock);
    *figures = upkeep->figures;
    g_mutex_unlock(&upkeep->lock);
}
