#include "server/views/warm.h"

#include <ingot/error.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/crew.h"
#include "base/process.h"
#include "server/auth/fairqueue.h"
#include "server/views/asboxes.h"
#include "server/views/entries.h"
#include "vagrant/providers.h"

#define NICE 10
#define THREADS 2u       /* one of them at most is at work unasked */
#define ASKED_MAX 64u    /* tasks in line that a client asked for */
#define UNASKED_MAX 1024 /* tasks in line that nobody waits for: more are worked out when they are asked for */
#define LISTED_MAX 4096u /* names of which a catalogue was asked for; of others boxes wait for the catalogue */
#define FAILED_MAX 256u  /* failures that are remembered */
#define WAITERS_MAX 2    /* requests that wait: half of the threads that serve such */

#define LOOK (G_TIME_SPAN_SECOND / 10)   /* between two looks at whether a client has left */
#define WANTED (60 * G_TIME_SPAN_SECOND) /* for which a client that was told to come again may leave it in line */
#define FAILED (60 * G_TIME_SPAN_SECOND) /* for which a failure is told */

typedef struct Task Task;

struct Warm {
    Views *views;
    GMutex lock; /* of all that follows, and of all tasks */
    GCond more, ended;
    GHashTable *tasks;          /* key -> Task: in line, at work, or failed a short time ago; holds a reference */
    FairQueue *asked, *unasked; /* of Task, by network: the lines */
    gboolean unasked_next;      /* what was taken last was asked for */
    Task *at_work[THREADS];     /* NULL: none */
    guint waiters, failures;
    GHashTable *listed; /* a set of the names of which a catalogue was asked for */
    gboolean stops;
    GThread *threads[THREADS];
};

struct Task {
    char *key;
    char *name, *reference, *format; /* format NULL: a new version, whose formats are not known yet */
    gboolean sums;
    guint64 network;  /* of the client that put it in line; 0: none did */
    gboolean unasked; /* it is worked out, whether somebody wants it or not */
    gint64 wanted;    /* by clients, until then (monotonic) */
    guint waiters;    /* requests that wait for it now */
    gboolean returns; /* some client was told to come again */
    gint64 ended;     /* monotonic; 0: not yet */
    GError *problem;
    guint references;
};

/* --- tasks; the lock is held in all of this --- */

static Task *task_new(const WarmWish *wish, char *key)
{
    Task *task = g_new0(Task, 1);
    *task = (Task){.key = key,
                   .name = g_strdup(wish->name),
                   .reference = g_strdup(wish->reference),
                   .format = g_strdup(wish->format),
                   .sums = wish->sums,
                   .network = wish->network,
                   .references = 1};
    return task;
}

static void task_unref(gpointer data)
{
    Task *task = data;
    if (--task->references == 0) {
        g_free(task->key);
        g_free(task->name);
        g_free(task->reference);
        g_free(task->format);
        g_clear_error(&task->problem);
        g_free(task);
    }
}

static gboolean task_is_wanted(const Task *task)
{
    return task->unasked || task->waiters > 0 || g_get_monotonic_time() < task->wanted;
}

/* It stays in the table if it has failed, so that whoever asks next hears of it. Takes the problem. */
static void task_end(Warm *warm, Task *task, GError *problem)
{
    gboolean failed = problem != NULL && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED);
    task->ended = g_get_monotonic_time();
    task->problem = problem;
    g_cond_broadcast(&warm->ended);
    if (failed && task->format != NULL && warm->failures < FAILED_MAX) {
        warm->failures++;
    } else {
        g_hash_table_remove(warm->tasks, task->key);
    }
}

static gboolean task_is_stale(gpointer key, gpointer value, gpointer now)
{
    const Task *task = value;
    (void)key;
    return task->ended > 0 && *(gint64 *)now - task->ended > FAILED;
}

static void task_end_unwanted(Warm *warm, Task *task)
{
    task_end(warm, task, g_error_new(INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "nobody wants it any more"));
}

/* Puts it in line. FALSE: that is full, and the task's network has the most in it. What the line of those that were
 * asked for turns away goes back where it came from, if it is worked out unasked. */
static gboolean line_add(Warm *warm, FairQueue *line, Task *task)
{
    Task *away = fairqueue_push(line, task->network, task);
    if (away != NULL && away->unasked && line == warm->asked) {
        away->network = 0;
        line_add(warm, warm->unasked, away);
    } else if (away != NULL) {
        task_end_unwanted(warm, away);
    }
    g_cond_signal(&warm->more);
    return away != task;
}

/* The task for a wish, the table's own; NULL: its line is full. */
static Task *task_find(Warm *warm, const WarmWish *wish, gboolean unasked)
{
    gint64 now = g_get_monotonic_time();
    warm->failures -= g_hash_table_foreach_remove(warm->tasks, task_is_stale, &now);
    g_autofree char *key = g_strdup_printf("%s %s %s %d", wish->name, wish->reference,
                                           wish->format == NULL ? "" : wish->format, wish->sums ? 1 : 0);
    Task *task = g_hash_table_lookup(warm->tasks, key);
    if (task == NULL) {
        task = task_new(wish, g_steal_pointer(&key));
        g_hash_table_insert(warm->tasks, task->key, task);
        task = line_add(warm, warm->unasked, task) ? task : NULL;
    }
    if (task != NULL) {
        task->unasked = task->unasked || unasked;
    }
    return task;
}

static gboolean task_is(gpointer task, gpointer other)
{
    return task == other;
}

/* A client waits for it, so it comes before those that nobody waits for, when it is the turn of its network. */
static void task_hurry(Warm *warm, Task *task, guint64 network)
{
    if (fairqueue_take(warm->unasked, task_is, task) != NULL) {
        task->network = network;
        line_add(warm, warm->asked, task);
    }
}

/* --- what comes next; the lock is held --- */

/* Two tasks of one image follow each other: the second finds what the first has kept. */
static gboolean task_may_begin(gpointer data, gpointer user)
{
    const Task *task = data;
    const Warm *warm = user;
    for (guint i = 0; i < THREADS; i++) {
        if (warm->at_work[i] != NULL && g_str_equal(warm->at_work[i]->reference, task->reference)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean task_is_unwanted(gpointer task, gpointer user)
{
    (void)user;
    return !task_is_wanted(task);
}

static gboolean is_at_work_unasked(const Warm *warm)
{
    for (guint i = 0; i < THREADS; i++) {
        if (warm->at_work[i] != NULL && warm->at_work[i]->waiters == 0 &&
            g_get_monotonic_time() >= warm->at_work[i]->wanted) {
            return TRUE;
        }
    }
    return FALSE;
}

/* The first of a line that may begin, taken out; those that nobody wants any more go. */
static Task *line_take(Warm *warm, FairQueue *line)
{
    Task *task;
    while ((task = fairqueue_take(line, task_is_unwanted, NULL)) != NULL) {
        task_end_unwanted(warm, task);
    }
    return fairqueue_take(line, task_may_begin, warm);
}

/* The lines take turns where one thread is left for what is asked for: else nothing new would be worked out while
 * somebody asks, again and again. */
static Task *next_task(Warm *warm)
{
    gboolean may = !is_at_work_unasked(warm);
    Task *task = may && warm->unasked_next ? line_take(warm, warm->unasked) : NULL;
    warm->unasked_next = FALSE;
    if (task == NULL && (task = line_take(warm, warm->asked)) != NULL) {
        warm->unasked_next = TRUE;
    }
    return task == NULL && may ? line_take(warm, warm->unasked) : task;
}

/* --- work --- */

/* What a gate is asked for. */
typedef struct {
    Warm *warm;
    Task *task;
} Work;

/* What has begun ends where some client was told to come again: else one that comes seldom would never get what takes
 * long. */
static gboolean task_may_go_on(gpointer data, GError **error)
{
    const Work *work = data;
    g_mutex_lock(&work->warm->lock);
    gboolean wanted = work->task->returns || task_is_wanted(work->task);
    g_mutex_unlock(&work->warm->lock);
    if (!wanted) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "nobody wants it any more");
    }
    return wanted;
}

static void add_format(Warm *warm, const char *name, const char *reference, const char *format)
{
    const WarmWish wish = {.name = name, .reference = reference, .format = format, .sums = TRUE};
    task_find(warm, &wish, TRUE);
}

/* The boxes that a catalogue will have of it, where one is asked for. */
static void add_boxes(Warm *warm, const char *name, const char *reference, const ViewImage *image)
{
    for (guint i = 0; i < VAGRANT_FORMS && g_hash_table_contains(warm->listed, name); i++) {
        const IngotFormat *format = ingot_format_find(vagrant_forms[i].format, NULL);
        if (view_image_is_for(image, format->name) && view_image_can(image, format, NULL)) {
            add_format(warm, name, reference, format->name);
        }
    }
}

/* The formats of a new version's image become tasks of their own. */
static void add_formats(Warm *warm, const Task *version, const ViewImage *image)
{
    g_autofree char *reference = ingot_digest_to_text(&image->manifest);
    const json_t *outputs = json_object_get(image->config, "outputs");
    g_mutex_lock(&warm->lock);
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        const char *format = json_string_value(json_array_get(outputs, i));
        if (format != NULL && ingot_format_find(format, NULL) != NULL) {
            add_format(warm, version->name, reference, format);
        }
    }
    add_boxes(warm, version->name, reference, image);
    g_mutex_unlock(&warm->lock);
}

/* A version is an image, or an index of several. */
static void version_run(Warm *warm, const Task *task, GError **error)
{
    IngotDigest digest;
    Storage *storage = views_storage(warm->views);
    if (strchr(task->reference, ':') != NULL
            ? !storage_digest(storage, task->reference, &digest, error)
            : !storage_find_tag(storage, task->name, task->reference, &digest, error)) {
        return;
    }
    g_autoptr(GArray) images = view_entries(storage, task->name, &digest);
    for (guint i = 0; i < images->len; i++) {
        g_autofree char *reference = ingot_digest_to_text(&g_array_index(images, IngotDigest, i));
        g_autoptr(ViewImage) image = views_image(warm->views, task->name, reference, NULL);
        if (image != NULL) {
            add_formats(warm, task, image);
        }
    }
}

static void task_run(Warm *warm, Task *task, GError **error)
{
    Work work = {.warm = warm, .task = task};
    const IngotFormat *format = task->format == NULL ? NULL : ingot_format_find(task->format, error);
    if (task->format != NULL && format == NULL) {
        return;
    }
    if (format == NULL) {
        version_run(warm, task, error);
        return;
    }
    g_autoptr(ViewImage) image = views_image(warm->views, task->name, task->reference, error);
    if (image != NULL && view_image_measure(image, format, task->sums, task_may_go_on, &work, error) &&
        vagrant_form_of_format(format->name) != NULL) {
        g_autoptr(AsBoxes) kept = as_boxes(warm->views, task->name, &image->manifest, NULL); /* for catalogues */
    }
}

static Task **free_slot(Warm *warm)
{
    guint i = 0;
    while (warm->at_work[i] != NULL) { /* there are as many as threads */
        i++;
    }
    return &warm->at_work[i];
}

static gpointer work_thread(gpointer data)
{
    Warm *warm = data;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE); /* Linux: of the thread, and of those that it starts */
    g_mutex_lock(&warm->lock);
    while (!warm->stops) {
        Task *task = next_task(warm);
        if (task == NULL) {
            g_cond_wait(&warm->more, &warm->lock);
            continue;
        }
        GError *problem = NULL;
        Task **slot = free_slot(warm);
        *slot = task;
        task->references++;
        g_mutex_unlock(&warm->lock);
        task_run(warm, task, &problem);
        g_mutex_lock(&warm->lock);
        *slot = NULL;
        task_end(warm, task, problem);
        task_unref(task);
        g_cond_broadcast(&warm->more); /* what waited for the image */
    }
    g_mutex_unlock(&warm->lock);
    return NULL;
}

/* --- asking --- */

/* The lock is given up meanwhile. TRUE: the client has left. */
static gboolean task_wait(Warm *warm, Task *task, gint64 until, gboolean (*gone)(gpointer user), gpointer user)
{
    gboolean left = FALSE;
    warm->waiters++;
    task->waiters++;
    for (gint64 now; task->ended == 0 && !left && (now = g_get_monotonic_time()) < until;) {
        g_cond_wait_until(&warm->ended, &warm->lock, MIN(until, now + LOOK));
        left = gone(user);
    }
    task->waiters--;
    warm->waiters--;
    return left;
}

static WarmAnswer task_ask(Warm *warm, Task *task, const WarmWish *wish, gint64 until, gboolean (*gone)(gpointer user),
                           gpointer user, GError **error)
{
    gboolean left = FALSE;
    if (task->ended == 0 && g_get_monotonic_time() < until) {
        task_hurry(warm, task, wish->network);
        left = warm->waiters < WAITERS_MAX && task_wait(warm, task, until, gone, user);
    }
    if (task->ended == 0 && !wish->listed) {
        task->returns = task->returns || !left;
        task->wanted = task->returns ? g_get_monotonic_time() + WANTED : 0;
    }
    if (task->ended == 0) {
        return WARM_LATER;
    }
    if (task->problem == NULL) {
        return WARM_READY;
    }
    if (g_error_matches(task->problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        return WARM_LATER;
    }
    g_propagate_error(error, g_error_copy(task->problem));
    return WARM_FAILED;
}

WarmAnswer warm_wait(Warm *warm, const WarmWish *wish, gint64 until, gboolean (*gone)(gpointer user), gpointer user,
                     GError **error)
{
    WarmAnswer answer = WARM_LATER;
    /* By digest: a tag may name another image when its turn comes, which has not failed. */
    g_autoptr(ViewImage) image = views_image(warm->views, wish->name, wish->reference, error);
    g_autofree char *reference = image == NULL ? NULL : ingot_digest_to_text(&image->manifest);
    if (image == NULL) {
        return WARM_FAILED;
    }
    const WarmWish exact = {.name = wish->name,
                            .reference = reference,
                            .format = wish->format,
                            .sums = wish->sums,
                            .network = wish->network};
    g_mutex_lock(&warm->lock);
    Task *task = task_find(warm, &exact, wish->listed);
    if (task != NULL) {
        task->references++;
        answer = task_ask(warm, task, wish, until, gone, user, error);
        task_unref(task);
    }
    g_mutex_unlock(&warm->lock);
    return answer;
}

/* --- the whole --- */

Warm *warm_start(Views *views, GError **error)
{
    Warm *warm = g_new0(Warm, 1);
    warm->views = views;
    g_mutex_init(&warm->lock);
    g_cond_init(&warm->more);
    g_cond_init(&warm->ended);
    warm->asked = fairqueue_new(ASKED_MAX);
    warm->unasked = fairqueue_new(UNASKED_MAX);
    warm->listed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    warm->tasks = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, task_unref);
    for (guint i = 0; i < THREADS; i++) {
        warm->threads[i] = crew_thread("warm", work_thread, warm, error);
        if (warm->threads[i] == NULL) {
            warm_stop(warm);
            return NULL;
        }
    }
    return warm;
}

void warm_add(Warm *warm, const char *name, const char *reference)
{
    const WarmWish wish = {.name = name, .reference = reference};
    g_mutex_lock(&warm->lock);
    task_find(warm, &wish, TRUE);
    g_mutex_unlock(&warm->lock);
}

void warm_list(Warm *warm, const char *name)
{
    g_mutex_lock(&warm->lock);
    if (!g_hash_table_contains(warm->listed, name) && g_hash_table_size(warm->listed) < LISTED_MAX) {
        g_hash_table_add(warm->listed, g_strdup(name));
    }
    g_mutex_unlock(&warm->lock);
}

/* Its tasks are the table's. */
static void line_free(FairQueue *line)
{
    while (fairqueue_pop(line) != NULL) {
    }
    fairqueue_free(line);
}

void warm_stop(Warm *warm)
{
    if (warm == NULL) {
        return;
    }
    g_mutex_lock(&warm->lock);
    warm->stops = TRUE;
    g_cond_broadcast(&warm->more);
    g_mutex_unlock(&warm->lock);
    for (guint i = 0; i < THREADS && warm->threads[i] != NULL; i++) {
        g_thread_join(warm->threads[i]);
    }
    line_free(warm->asked);
    line_free(warm->unasked);
    g_hash_table_unref(warm->tasks);
    g_hash_table_unref(warm->listed);
    g_cond_clear(&warm->more);
    g_cond_clear(&warm->ended);
    g_mutex_clear(&warm->lock);
    g_free(warm);
}
