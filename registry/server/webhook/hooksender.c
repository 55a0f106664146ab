#include "server/webhook/hooksender.h"

#include <gio/gio.h>
#include <ingot/error.h>
#include <string.h>

#include "base/crew.h"
#include "base/text.h"
#include "server/http/log.h"
#include "server/storage/tail.h"
#include "server/webhook/hooknotice.h"

#define SEND_SECONDS 10u
#define PAUSE_MOST 3600.0 /* seconds */
#define LOOK_EVERY (200 * G_TIME_SPAN_MILLISECOND)
#define QUEUE_MOST 1024u  /* events that are held in memory */
#define PASSED_MOST 1000u /* events of others after which the place is kept all the same */
#define ANSWER_KEPT 200u  /* bytes */

struct HookSender {
    Storage *storage;
    Database *ledger;
    Hook *hook;
    StorageTail tail;
    GQueue queue; /* of HookNotice */
    gboolean full;
    gboolean told; /* that the log can't be read */
    GThread *thread;
    GCancellable *cancellable;
    GMutex lock; /* of what follows */
    GCond wake;
    gboolean stopping, failing;
    HookCounts counts;
};

double hook_pause(guint tries, double chance)
{
    guint doubled = tries < 2 ? 0 : MIN(tries - 1, 12);
    return MIN((double)(1u << doubled), PAUSE_MOST) * (0.5 + chance);
}

gboolean hook_gives_up(gint64 event, gint64 since, gint64 now)
{
    return now - MAX(event, since) >= HOOK_TRIED_FOR;
}

gboolean hook_settle(Hook *hook, gint64 event, HookTry *tried)
{
    gboolean is_done = strcmp(tried->outcome, "done") == 0;
    hook->since = is_done ? 0 : hook->since == 0 ? tried->at : hook->since;
    if (!is_done && hook_gives_up(event, hook->since, tried->at)) {
        g_free(tried->outcome);
        tried->outcome = g_strdup("given up");
        is_done = TRUE;
    }
    hook->tries = is_done ? 0 : hook->tries + 1;
    hook->place = is_done ? tried->number : hook->place;
    return is_done;
}

gboolean hook_send(const Hook *hook, guint64 number, const char *kind, const char *name, const char *id,
                   const char *body, HookTry *tried, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_auto(HookAnswer) answer = {0};
    const HookPost post = {.url = hook->url,
                           .secret = hook->secret,
                           .allow_private = hook->allow_private,
                           .allow_http = hook->allow_http,
                           .seconds = SEND_SECONDS,
                           .kind = kind,
                           .id = id,
                           .body = body};
    gboolean answered = hook_post(&post, &answer, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    g_autofree char *line = ingot_text_line(answered ? answer.body->str : problem->message);
    *tried = (HookTry){.hook = hook->id,
                       .at = g_get_real_time() / G_USEC_PER_SEC,
                       .number = number,
                       .kind = g_strdup(kind),
                       .name = g_strdup(name),
                       .status = answer.status,
                       .ms = answer.ms,
                       .tries = hook->tries + 1,
                       .answer = ingot_text_head(line, ANSWER_KEPT),
                       .outcome = g_strdup(answer.status / 100 == 2 ? "done" : "failed")};
    return TRUE;
}

/* --- what there is to send --- */

static gboolean hook_wants(const Hook *hook, const HookNotice *notice)
{
    return g_pattern_match_simple(hook->pattern, notice->name) &&
           (hook->kinds == NULL || g_strv_contains((const char *const *)hook->kinds, notice->kind));
}

/* What says more of the event before takes its place, whether this webhook wants the one, the other or both. */
static void drop_completed(HookSender *sender, const HookNotice *notice)
{
    HookNotice *last = g_queue_peek_tail(&sender->queue);
    if (last != NULL && hook_notice_completes(notice, last)) {
        hook_notice_free(g_queue_pop_tail(&sender->queue));
    }
}

static void take_event(guint64 number, const json_t *event, gpointer user)
{
    HookSender *sender = user;
    g_autoptr(HookNotice) notice = sender->full ? NULL : hook_notice_read(number, event);
    if (notice == NULL) {
        return;
    }
    drop_completed(sender, notice);
    if (!hook_wants(sender->hook, notice)) {
        return;
    }
    if (sender->queue.length >= QUEUE_MOST) {
        sender->full = TRUE;
    } else {
        g_queue_push_tail(&sender->queue, g_steal_pointer(&notice));
    }
}

/* Once the queue is empty. Where more events are for it than the queue holds, the log is read again behind the last. */
static gboolean read_events(HookSender *sender, GError **error)
{
    sender->full = FALSE;
    if (!storage_tail(sender->storage, &sender->tail, take_event, sender, error)) {
        return FALSE;
    }
    if (sender->full) {
        const HookNotice *last = g_queue_peek_tail(&sender->queue);
        sender->tail = (StorageTail){.number = last->number, .all = TRUE};
    }
    return TRUE;
}

/* Looks at the log; what was passed over is kept now and then, so that a start need not read all of it. */
static void look(HookSender *sender)
{
    g_autoptr(GError) error = NULL;
    gboolean ok = read_events(sender, &error);
    if (ok && sender->queue.length == 0 && sender->tail.number > sender->hook->place + PASSED_MOST) {
        sender->hook->place = sender->tail.number;
        ok = hooks_pass(sender->ledger, sender->hook, &error);
    }
    if (!ok && !sender->told) {
        log_error("webhook %" G_GINT64_FORMAT ": %s", sender->hook->id, error->message);
    }
    sender->told = !ok;
}

/* --- sending it --- */

static void tell(const HookSender *sender, const HookTry *tried, gint64 failed_since)
{
    g_autofree char *url = ingot_text_url(sender->hook->url);
    g_autofree char *what = g_strdup_printf("webhook %" G_GINT64_FORMAT " (%s)", sender->hook->id, url);
    if (strcmp(tried->outcome, "given up") == 0) {
        log_error("%s: event %" G_GUINT64_FORMAT " (%s of %s) is given up after %u tries: status %u, %s", what,
                  tried->number, tried->kind, tried->name, tried->tries, tried->status, tried->answer);
    } else if (failed_since == 0 && sender->hook->since != 0) {
        log_warning("%s fails: status %u, %s; it is tried again for a day", what, tried->status, tried->answer);
    } else if (failed_since != 0 && sender->hook->since == 0) {
        log_info("%s takes events again", what);
    }
}

static void count(HookSender *sender, const HookTry *tried)
{
    g_mutex_lock(&sender->lock);
    sender->failing = sender->hook->since != 0;
    sender->counts.delivered += strcmp(tried->outcome, "done") == 0;
    sender->counts.failed += strcmp(tried->outcome, "done") != 0;
    sender->counts.given_up += strcmp(tried->outcome, "given up") == 0;
    g_mutex_unlock(&sender->lock);
}

static char *write_notice(const HookSender *sender, const HookNotice *notice)
{
    IngotDigest digest;
    gboolean has_digest = notice->digest != NULL && ingot_digest_parse(notice->digest, &digest, NULL);
    g_autofree char *version = has_digest ? storage_version_of(sender->storage, notice->name, &digest) : NULL;
    return hook_notice_write(notice, version);
}

/* Tries the first of the queue once. FALSE: it is to be tried again. */
static gboolean send_first(HookSender *sender)
{
    Hook *hook = sender->hook;
    HookTry tried = {0};
    HookNotice *notice = g_queue_peek_head(&sender->queue);
    g_autoptr(GError) error = NULL;
    g_autofree char *id = hook_notice_id(notice);
    notice->body = notice->body == NULL ? write_notice(sender, notice) : notice->body;
    if (!hook_send(hook, notice->number, notice->kind, notice->name, id, notice->body, &tried, NULL)) {
        return FALSE;
    }
    gint64 failed_since = hook->since;
    gboolean is_done = hook_settle(hook, notice->at, &tried);
    tell(sender, &tried, failed_since);
    count(sender, &tried);
    if (!hooks_note(sender->ledger, hook, &tried, &error)) { /* sent again after a restart, no worse */
        log_error("webhook %" G_GINT64_FORMAT ": %s", hook->id, error->message);
    }
    if (is_done) {
        hook_notice_free(g_queue_pop_head(&sender->queue));
    }
    hook_try_clear(&tried);
    return is_done;
}

/* --- the thread --- */

/* FALSE: it is to stop. */
static gboolean rest(HookSender *sender, gint64 span)
{
    gint64 until = g_get_monotonic_time() + span;
    g_mutex_lock(&sender->lock);
    while (!sender->stopping && g_cond_wait_until(&sender->wake, &sender->lock, until)) {
    }
    gboolean goes_on = !sender->stopping;
    g_mutex_unlock(&sender->lock);
    return goes_on;
}

static gpointer run_sender(gpointer user)
{
    HookSender *sender = user;
    gint64 span = 0;
    g_cancellable_push_current(sender->cancellable);
    while (rest(sender, span)) {
        if (sender->queue.length == 0) {
            look(sender);
        }
        span = sender->queue.length == 0 ? LOOK_EVERY
               : send_first(sender)      ? 0
                                    : (gint64)(hook_pause(sender->hook->tries, g_random_double()) * G_USEC_PER_SEC);
    }
    g_cancellable_pop_current(sender->cancellable);
    return NULL;
}

/* A log that ends before the webhook's place is another one: it is followed from its end on. */
static gboolean find_place(HookSender *sender, GError **error)
{
    StorageTail end;
    if (!storage_tail_begin(sender->storage, &end, 0, error)) {
        return FALSE;
    }
    if (sender->hook->place > end.number) {
        log_warning("webhook %" G_GINT64_FORMAT " was at event %" G_GUINT64_FORMAT
                    " of a log that ends with %" G_GUINT64_FORMAT ": what was before is not sent",
                    sender->hook->id, sender->hook->place, end.number);
        sender->hook->place = end.number;
    }
    sender->tail = (StorageTail){.number = sender->hook->place, .all = TRUE};
    sender->failing = sender->hook->since != 0;
    return TRUE;
}

HookSender *hook_sender_start(Storage *storage, Database *ledger, Hook *hook, GError **error)
{
    HookSender *sender = g_new0(HookSender, 1);
    sender->storage = storage;
    sender->ledger = ledger;
    sender->hook = hook;
    sender->cancellable = g_cancellable_new();
    g_queue_init(&sender->queue);
    g_mutex_init(&sender->lock);
    g_cond_init(&sender->wake);
    sender->thread = find_place(sender, error) ? crew_thread("webhook", run_sender, sender, error) : NULL;
    if (sender->thread == NULL) {
        hook_sender_stop(sender);
        return NULL;
    }
    return sender;
}

void hook_sender_stop(HookSender *sender)
{
    if (sender == NULL) {
        return;
    }
    g_mutex_lock(&sender->lock);
    sender->stopping = TRUE;
    g_cond_signal(&sender->wake);
    g_mutex_unlock(&sender->lock);
    g_cancellable_cancel(sender->cancellable);
    g_clear_pointer(&sender->thread, g_thread_join);
    g_queue_clear_full(&sender->queue, (GDestroyNotify)hook_notice_free);
    g_object_unref(sender->cancellable);
    hook_free(sender->hook);
    g_mutex_clear(&sender->lock);
    g_cond_clear(&sender->wake);
    g_free(sender);
}

gint64 hook_sender_id(const HookSender *sender)
{
    return sender->hook->id;
}

gboolean hook_sender_count(HookSender *sender, HookCounts *counts)
{
    g_mutex_lock(&sender->lock);
    counts->delivered += sender->counts.delivered;
    counts->failed += sender->counts.failed;
    counts->given_up += sender->counts.given_up;
    gboolean failing = sender->failing;
    g_mutex_unlock(&sender->lock);
    return failing;
}
