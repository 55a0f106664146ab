#include "server/upkeep/job.h"

#include <ingot/error.h>
#include <ingot/remote.h>

#include "base/process.h"
#include "remote/environment.h"
#include "remote/relay.h"
#include "server/boxes/boxmirror.h"
#include "server/mirror/mirror.h"
#include "server/storage/collect.h"
#include "server/storage/keep.h"

void job_clear(Job *job)
{
    g_clear_pointer(&job->keeps, g_strfreev);
    g_clear_pointer(&job->from, g_free);
    g_clear_pointer(&job->pattern, g_free);
    g_clear_pointer(&job->boxes, g_strfreev);
}

static const char *const kinds[] = {[JOB_COLLECT] = "collect",
                                    [JOB_SWEEP] = "sweep",
                                    [JOB_SCRUB] = "scrub",
                                    [JOB_MIRROR] = "mirror",
                                    [JOB_MERGE] = "merge",
                                    [JOB_BOXES] = "boxes",
                                    NULL};

static json_t *list_of(char *const *texts)
{
    json_t *list = json_array();
    for (guint i = 0; texts != NULL && texts[i] != NULL; i++) {
        json_array_append_new(list, ingot_json_text(texts[i]));
    }
    return list;
}

static char **texts_of(const json_t *list)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        g_strv_builder_add(builder, text == NULL ? "" : text);
    }
    return g_strv_builder_end(builder);
}

json_t *job_to_json(const Job *job)
{
    json_t *keeps = list_of(job->keeps);
    json_t *object = json_pack("{s:s, s:b, s:I, s:I, s:o, s:I}", "kind", kinds[job->kind], "dry-run", (int)job->dry_run,
                               "grace", (json_int_t)job->grace, "untagged", (json_int_t)job->untagged, "keep", keeps,
                               "rate", (json_int_t)job->rate);
    ingot_json_set_string(object, "from", job->from);
    ingot_json_set_string(object, "pattern", job->pattern);
    json_object_set_new(object, "boxes", list_of(job->boxes));
    return object;
}

gboolean job_from_json(const json_t *object, Job *job, GError **error)
{
    const char *kind = ingot_json_get_string(object, "kind", "job", error);
    const json_t *keeps = kind == NULL ? NULL : ingot_json_get_array(object, "keep", "job", error);
    if (keeps == NULL || !ingot_json_get_size(object, "grace", "job", &job->grace, error) ||
        !ingot_json_get_size(object, "untagged", "job", &job->untagged, error) ||
        !ingot_json_get_size(object, "rate", "job", &job->rate, error)) {
        return FALSE;
    }
    while (kinds[job->kind] != NULL && !g_str_equal(kinds[job->kind], kind)) {
        job->kind++;
    }
    job->dry_run = json_is_true(json_object_get(object, "dry-run"));
    job->keeps = texts_of(keeps);
    job->boxes = texts_of(json_object_get(object, "boxes"));
    job->from = g_strdup(json_string_value(json_object_get(object, "from")));
    job->pattern = g_strdup(json_string_value(json_object_get(object, "pattern")));
    if (kinds[job->kind] == NULL || (job->kind == JOB_BOXES && job->from == NULL) ||
        (job->kind == JOB_MIRROR && (job->from == NULL || job->pattern == NULL))) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "no job that is known here");
        return FALSE;
    }
    return TRUE;
}

/* A job under way. */
typedef struct {
    const Job *job;
    IngotRemote *remote; /* from where a scrub repairs; NULL: it does not */
    JobTell tell;
    gpointer user;
} Work;

static gboolean work_goes_on(gpointer user, GError **error)
{
    const Work *work = user;
    if (!ingot_interrupt_check(error)) {
        return FALSE;
    }
    if (work->job->gone != NULL && work->job->gone(work->job->client)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "the verb that asked for it has ended");
        return FALSE;
    }
    return TRUE;
}

static gboolean work_stops(gpointer user)
{
    return !work_goes_on(user, NULL);
}

static void work_tell(const char *line, gpointer user)
{
    const Work *work = user;
    work->tell(line, work->user);
}

static json_t *collect(Storage *storage, Work *work, GError **error)
{
    const Job *job = work->job;
    g_autoptr(GArray) keeps = keeps_new();
    for (guint i = 0; job->keeps != NULL && job->keeps[i] != NULL; i++) {
        if (!keeps_add(keeps, job->keeps[i], error)) {
            return NULL;
        }
    }
    const CollectOptions options = {.keeps = keeps,
                                    .grace = job->grace,
                                    .untagged_grace = job->untagged,
                                    .packs_only = job->kind == JOB_MERGE,
                                    .held_only = job->kind == JOB_SWEEP,
                                    .dry_run = job->dry_run,
                                    .tell = work_tell,
                                    .user = work,
                                    .stop = work_stops};
    CollectReport report;
    if (!storage_collect(storage, &options, &report, error)) {
        return NULL;
    }
    return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "dry-run", (int)job->dry_run,
                     "tags", (json_int_t)report.tags, "manifests", (json_int_t)report.manifests, "unneeded",
                     (json_int_t)report.links, "blobs", (json_int_t)report.blobs, "pieces", (json_int_t)report.pieces,
                     "bytes", (json_int_t)report.bytes, "held", (json_int_t)report.held, "held-bytes",
                     (json_int_t)report.held_bytes, "packs", (json_int_t)report.packs, "freed",
                     (json_int_t)report.freed, "skipped", (json_int_t)report.skipped);
}

/* --- scrubbing --- */

static gboolean take_range(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    (void)offset, (void)error;
    g_byte_array_append(user, data, (guint)size);
    return TRUE;
}

static GBytes *fetch(const char *name, const IngotDigest *blob, guint64 size, guint64 offset, guint32 length,
                     gpointer user)
{
    const Work *work = user;
    const IngotRange range = {.offset = offset, .length = length};
    GByteArray *bytes = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    if (!ingot_remote_get_ranges(work->remote, name, blob, size, &range, 1, take_range, bytes, NULL, &error)) {
        work->tell(error->message, work->user);
        g_byte_array_unref(bytes);
        return NULL;
    }
    return g_byte_array_free_to_bytes(bytes);
}

static json_t *scrub(Storage *storage, Work *work, GError **error)
{
    const Job *job = work->job;
    g_autoptr(IngotRemote) remote = job->from == NULL ? NULL : environment_remote(job->from, error);
    if (job->from != NULL && remote == NULL) {
        return NULL;
    }
    if (remote != NULL) {
        ingot_remote_while(remote, work_goes_on, work);
    }
    work->remote = remote;
    const ScrubOptions options = {.rate = job->rate,
                                  .tell = work_tell,
                                  .fetch = remote == NULL ? NULL : fetch,
                                  .user = work,
                                  .stop = work_stops,
                                  .slice = job->slice,
                                  .from = job->place};
    ScrubReport report;
    if (!storage_scrub(storage, &options, &report, error)) {
        return NULL;
    }
    json_t *outcome = json_pack("{s:I, s:I, s:I, s:I, s:I}", "pieces", (json_int_t)report.pieces, "bytes",
                                (json_int_t)report.bytes, "damaged", (json_int_t)report.damaged, "repaired",
                                (json_int_t)report.repaired, "inconsistencies", (json_int_t)report.inconsistencies);
    if (report.place.pack != 0) {
        json_object_set_new(outcome, "pack", json_integer((json_int_t)report.place.pack));
        json_object_set_new(outcome, "offset", json_integer((json_int_t)report.place.offset));
    }
    return outcome;
}

static json_t *mirror(Storage *storage, Work *work, GError **error)
{
    const MirrorOptions options = {.from = work->job->from,
                                   .pattern = work->job->pattern,
                                   .tell = work_tell,
                                   .goes_on = work_goes_on,
                                   .user = work};
    MirrorReport report;
    if (!mirror_run(storage, &options, &report, error)) {
        return NULL;
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "repositories", (json_int_t)report.repositories,
                     "tags", (json_int_t)report.tags, "manifests", (json_int_t)report.manifests, "blobs",
                     (json_int_t)report.blobs, "received", (json_int_t)report.received, "failed",
                     (json_int_t)report.failed, "left", (json_int_t)report.left, "kept", (json_int_t)report.kept);
}

static json_t *mirror_boxes(Storage *storage, Work *work, GError **error)
{
    const BoxMirror mirror = {.from = work->job->from,
                              .names = (const char *const *)work->job->boxes,
                              .tell = work_tell,
                              .goes_on = work_goes_on,
                              .user = work};
    BoxReport report;
    guint64 released;
    if (!box_mirror(storage, &mirror, &report, &released, error)) {
        return NULL;
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "boxes", (json_int_t)report.boxes, "versions",
                     (json_int_t)released, "files", (json_int_t)report.files, "received", (json_int_t)report.received,
                     "failed", (json_int_t)report.failed, "left", (json_int_t)report.left, "kept",
                     (json_int_t)report.kept);
}

json_t *job_run(Storage *storage, const Job *job, JobTell tell, gpointer user, GError **error)
{
    Work work = {.job = job, .tell = tell, .user = user};
    switch (job->kind) {
    case JOB_COLLECT:
    case JOB_SWEEP:
    case JOB_MERGE:
        return collect(storage, &work, error);
    case JOB_SCRUB:
        return scrub(storage, &work, error);
    case JOB_MIRROR:
        return mirror(storage, &work, error);
    case JOB_BOXES:
        return mirror_boxes(storage, &work, error);
    }
    g_assert_not_reached();
}
