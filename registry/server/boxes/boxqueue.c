#include "server/boxes/boxqueue.h"

#include <ingot/error.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/crew.h"
#include "base/json.h"
#include "base/process.h"
#include "server/boxes/boxrelease.h"
#include "server/boxes/ingest.h"
#include "server/http/log.h"
#include "server/views/warm.h"

#define NICE 10
#define PAUSE_SECONDS 5 /* before what had no room, or could not be noted, is tried again; twice as long each time */
#define TRIES 8         /* ten minutes in all */

struct BoxQueue {
    Storage *storage;
    Warm *warm;
    BoxFiles *files;
    GMutex lock; /* of what follows */
    GCond more;
    GQueue waiting; /* of Task */
    GQueue left;    /* likewise: boxes that were taken in, and may not have been released with their version */
    gboolean stops;
    GThread *thread;
};

/* Copies of a BoxUploaded's texts. */
typedef struct {
    char *name, *user, *upload;
    char *version, *provider, *architecture;
    guint tries; /* that have failed */
    gint64 due;  /* by the monotonic clock; not before that it is tried again */
} Task;

static Task *task_new(const BoxUploaded *uploaded)
{
    Task *task = g_new0(Task, 1);
    *task = (Task){.name = g_strdup(uploaded->name),
                   .user = g_strdup(uploaded->user),
                   .upload = g_strdup(uploaded->upload),
                   .version = g_strdup(uploaded->key.version),
                   .provider = g_strdup(uploaded->key.provider),
                   .architecture = g_strdup(uploaded->key.architecture)};
    return task;
}

static void task_free(gpointer data)
{
    Task *task = data;
    g_free(task->name);
    g_free(task->user);
    g_free(task->upload);
    g_free(task->version);
    g_free(task->provider);
    g_free(task->architecture);
    g_free(task);
}

/* --- one box --- */

static StorageActor actor_of(const Task *task)
{
    return (StorageActor){.name = task->user, .reason = "a box was uploaded"};
}

static BoxProviderKey key_of(const Task *task)
{
    return (BoxProviderKey){task->version, task->provider, task->architecture};
}

/* What becomes of the record: key is "image" or "problem". NOT_FOUND: it waits for this box no more. */
static gboolean tell(BoxQueue *queue, const Task *task, const char *key, const char *text, GError **error)
{
    g_autoptr(json_t) members = json_object();
    const StorageActor actor = actor_of(task);
    const BoxProviderKey provider = key_of(task);
    ingot_json_set_string(members, key, text);
    return box_change_upload(queue->storage, &actor, task->name, &provider, task->upload, members, error);
}

/* Further boxes of what is released are released with it, whatever becomes of others that come. */
static void release_further(BoxQueue *queue, const Task *task)
{
    g_autoptr(GError) error = NULL;
    const StorageActor actor = actor_of(task);
    const BoxProviderKey key = key_of(task);
    g_autoptr(BoxRecords) records = box_records_read(queue->storage, task->name, &error);
    if (records != NULL && box_is_gone(queue->storage, task->name, task->version, records) &&
        box_draft_drop(queue->storage, &actor, task->name, &key, &error)) {
        log_info("%s %s: the version is gone, and the box of %s with it", task->name, task->version, task->provider);
    } else if (records == NULL || error != NULL ||
               (box_has_status(records, task->version, "active") &&
                !box_release_ready(queue->storage, &actor, task->name, task->version, &error))) {
        log_warning("%s %s: the box of %s is taken in and not released: %s", task->name, task->version, task->provider,
                    error->message);
    }
}

/* Its provider's; NULL: there is none, or it can't be read. Free it. */
static json_t *read_record(BoxQueue *queue, const Task *task, GError **error)
{
    g_autofree char *key = box_provider_key(task->version, task->provider, task->architecture);
    return storage_record(queue->storage, BOX_PROVIDER_RECORD, task->name, key, error);
}

/* Its provider, or the version, may have been removed while it waited, or another upload have begun. */
static gboolean is_awaited(BoxQueue *queue, const Task *task, GError **error)
{
    GError *problem = NULL;
    g_autoptr(json_t) record = read_record(queue, task, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (g_strcmp0(json_string_value(json_object_get(record, "upload")), task->upload) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "nobody waits for it any more");
        return FALSE;
    }
    return TRUE;
}

static gboolean take_in(BoxQueue *queue, const Task *task, IngotDigest *image, GError **error)
{
    g_autofree char *path = boxfiles_path(queue->files, task->upload);
    const StorageActor actor = actor_of(task);
    const BoxProviderKey key = key_of(task);
    const IngestFacts facts = {
        .version = task->version, .provider = task->provider, .architecture = task->architecture, .actor = &actor};
    IngotDescriptor manifest;
    if (!is_awaited(queue, task, error) || !ingest_box(queue->storage, task->name, path, &facts, &manifest, error) ||
        !is_awaited(queue, task, error)) {
        return FALSE;
    }
    *image = manifest.digest;
    return box_draft(queue->storage, &actor, task->name, &key, image, error);
}

/* Another upload in its place has come before it: the tag is that one's. */
static gboolean has_image(BoxQueue *queue, const Task *task)
{
    g_autoptr(json_t) record = read_record(queue, task, NULL);
    return json_object_get(record, "image") != NULL;
}

/* Nothing keeps what it has become. */
static void forget(BoxQueue *queue, const Task *task)
{
    g_autoptr(GError) error = NULL;
    const StorageActor actor = actor_of(task);
    const BoxProviderKey key = key_of(task);
    if (has_image(queue, task) || box_draft_drop(queue->storage, &actor, task->name, &key, &error)) {
        log_info("%s %s: nobody waits for the box of %s for %s any more", task->name, task->version, task->provider,
                 task->architecture);
    } else {
        log_warning("%s %s: the tag of a box of %s that nobody waits for is left: %s", task->name, task->version,
                    task->provider, error->message);
    }
    boxfiles_drop(queue->files, task->upload);
}

/* Room may come. What finds none again and again is told so. */
static gboolean is_passing(const Task *task, const GError *error)
{
    return g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED) ||
           (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE) && task->tries + 1 < TRIES);
}

static void tell_waits(const Task *task, const GError *error)
{
    if (!g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        log_warning("%s %s: the box of %s for %s waits: %s", task->name, task->version, task->provider,
                    task->architecture, error->message);
    }
}

/* FALSE: it is to be done again, by the next server where this one ends. */
static gboolean task_run(BoxQueue *queue, const Task *task)
{
    IngotDigest image;
    g_autoptr(GError) error = NULL, untold = NULL;
    gboolean ok = take_in(queue, task, &image, &error);
    g_autofree char *digest = ok ? ingot_digest_to_text(&image) : NULL;
    if (!ok && is_passing(task, error)) {
        tell_waits(task, error);
        return FALSE;
    }
    if (!tell(queue, task, ok ? "image" : "problem", ok ? digest : error->message, &untold)) {
        if (g_error_matches(untold, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
            forget(queue, task);
            return TRUE;
        }
        log_error("%s %s: what became of the box of %s can't be noted: %s", task->name, task->version, task->provider,
                  untold->message);
        return FALSE;
    }
    boxfiles_drop(queue->files, task->upload);
    if (ok) {
        log_info("%s %s: the box of %s for %s is taken in", task->name, task->version, task->provider,
                 task->architecture);
        warm_add(queue->warm, task->name, digest);
        release_further(queue, task);
    } else {
        log_warning("%s %s: the box of %s for %s is not taken in: %s", task->name, task->version, task->provider,
                    task->architecture, error->message);
    }
    return TRUE;
}

/* Others go on meanwhile. */
static void put_back(BoxQueue *queue, Task *task)
{
    guint doublings = MIN(task->tries, (guint)TRIES);
    task->tries++;
    task->due = g_get_monotonic_time() + ((gint64)PAUSE_SECONDS << doublings) * G_TIME_SPAN_SECOND;
    g_queue_push_tail(&queue->waiting, task);
}

/* The first that is due; NULL: none, and *next is when one will be (0: when one is added). */
static Task *take_due(BoxQueue *queue, gint64 *next)
{
    gint64 now = g_get_monotonic_time();
    *next = 0;
    for (GList *link = queue->waiting.head; link != NULL; link = link->next) {
        Task *task = link->data;
        if (task->due <= now) {
            g_queue_delete_link(&queue->waiting, link);
            return task;
        }
        *next = *next == 0 ? task->due : MIN(*next, task->due);
    }
    return NULL;
}

static void wait_for_task(BoxQueue *queue, gint64 next)
{
    if (next == 0) {
        g_cond_wait(&queue->more, &queue->lock);
    } else {
        g_cond_wait_until(&queue->more, &queue->lock, next);
    }
}

static gpointer queue_thread(gpointer data)
{
    BoxQueue *queue = data;
    Task *left;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);          /* Linux: of the thread, and of those that it starts */
    while ((left = g_queue_pop_head(&queue->left)) != NULL) { /* this thread's alone since it began */
        release_further(queue, left);
        task_free(left);
    }
    g_mutex_lock(&queue->lock);
    while (!queue->stops) {
        gint64 next;
        Task *task = take_due(queue, &next);
        if (task == NULL) {
            wait_for_task(queue, next);
            continue;
        }
        g_mutex_unlock(&queue->lock);
        gboolean done = task_run(queue, task);
        g_mutex_lock(&queue->lock);
        if (done) {
            task_free(task);
        } else {
            put_back(queue, task);
        }
    }
    g_mutex_unlock(&queue->lock);
    return NULL;
}

/* --- the queue --- */

gboolean boxqueue_add(BoxQueue *queue, const BoxUploaded *uploaded, GError **error)
{
    g_mutex_lock(&queue->lock);
    gboolean ok = g_queue_get_length(&queue->waiting) < BOX_FILES_MAX;
    if (ok) {
        g_queue_push_tail(&queue->waiting, task_new(uploaded));
        g_cond_signal(&queue->more);
    }
    g_mutex_unlock(&queue->lock);
    if (!ok) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "%u boxes wait to be taken in: try again later",
                    BOX_FILES_MAX);
    }
    return ok;
}

/* Its file waits; a record without its file is told that. */
static void take_up_coming(BoxQueue *queue, const BoxUploaded *uploaded, char *const *ids)
{
    g_autoptr(GError) error = NULL;
    if (!g_strv_contains((const char *const *)ids, uploaded->upload)) {
        Task *task = task_new(uploaded);
        if (!tell(queue, task, "problem", "the registry ended before the box was taken in: upload it again", &error)) {
            log_error("%s: %s", uploaded->name, error->message);
        }
        task_free(task);
        return;
    }
    const BoxFileOwner owner = {uploaded->name, uploaded->user};
    boxfiles_adopt(queue->files, uploaded->upload, &owner);
    if (!boxqueue_add(queue, uploaded, &error)) {
        log_warning("%s: %s", uploaded->name, error->message);
    }
}

/* Whether a file waits for the record. A box whose tag is there still may be one that is not released with its version.
 */
static gboolean take_up_record(BoxQueue *queue, const StorageRecord *record, char *const *ids)
{
    g_auto(GStrv) parts = g_strsplit(record->key, " ", -1);
    const char *upload = json_string_value(json_object_get(record->body, "upload"));
    if (g_strv_length(parts) != 3 || upload == NULL) {
        return FALSE;
    }
    const BoxUploaded uploaded = {.name = record->name,
                                  .user = json_string_value(json_object_get(record->body, "uploader")),
                                  .key = {parts[0], parts[1], parts[2]},
                                  .upload = upload};
    if (box_provider_is_coming(record->body)) {
        take_up_coming(queue, &uploaded, ids);
        return TRUE;
    }
    if (box_is_draft(queue->storage, record->name, &uploaded.key)) {
        g_queue_push_tail(&queue->left, task_new(&uploaded));
    }
    return FALSE;
}

/* What a server that ended has left; a file that no record waits for goes. */
static gboolean take_up(BoxQueue *queue, GError **error)
{
    g_auto(GStrv) ids = boxfiles_list(queue->files);
    g_autoptr(GPtrArray) records = storage_records(queue->storage, BOX_PROVIDER_RECORD, NULL, error);
    g_autoptr(GHashTable) wanted = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; records != NULL && i < records->len; i++) {
        const StorageRecord *record = g_ptr_array_index(records, i);
        if (take_up_record(queue, record, ids)) {
            g_hash_table_add(wanted, (gpointer)json_string_value(json_object_get(record->body, "upload")));
        }
    }
    for (guint i = 0; records != NULL && ids[i] != NULL; i++) {
        if (!g_hash_table_contains(wanted, ids[i])) {
            boxfiles_drop(queue->files, ids[i]);
        }
    }
    return records != NULL;
}

BoxQueue *boxqueue_start(const Server *server, BoxFiles *files, GError **error)
{
    BoxQueue *queue = g_new0(BoxQueue, 1);
    queue->storage = server->storage;
    queue->warm = server->warm;
    queue->files = files;
    g_mutex_init(&queue->lock);
    g_cond_init(&queue->more);
    g_queue_init(&queue->waiting);
    g_queue_init(&queue->left);
    if (take_up(queue, error)) {
        queue->thread = crew_thread("boxes", queue_thread, queue, error);
    }
    if (queue->thread == NULL) {
        boxqueue_stop(queue);
        return NULL;
    }
    return queue;
}

void boxqueue_stop(BoxQueue *queue)
{
    if (queue == NULL) {
        return;
    }
    g_mutex_lock(&queue->lock);
    queue->stops = TRUE;
    g_cond_broadcast(&queue->more);
    g_mutex_unlock(&queue->lock);
    if (queue->thread != NULL) {
        g_thread_join(queue->thread);
    }
    g_queue_clear_full(&queue->waiting, task_free);
    g_queue_clear_full(&queue->left, task_free);
    g_cond_clear(&queue->more);
    g_mutex_clear(&queue->lock);
    g_free(queue);
}
