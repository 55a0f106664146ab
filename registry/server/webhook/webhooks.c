#include "server/webhook/webhooks.h"

#include <ingot/error.h>

#include "base/crew.h"
#include "base/file.h"
#include "server/http/log.h"

#define LOOK_EVERY (500 * G_TIME_SPAN_MILLISECOND) /* at the ledger */

struct Webhooks {
    Storage *storage;
    Database *ledger;
    char *lock_path;
    IngotLock *turn; /* NULL: another server delivers */
    guint64 seen;    /* the ledger's sequence, as of when it was looked at */
    gboolean told;   /* that something is in the way */
    GThread *thread;
    GMutex lock; /* of what follows */
    GCond wake;
    gboolean stopping;
    GPtrArray *senders; /* of HookSender */
    HookCounts gone;    /* of those that have ended */
};

/* --- who sends --- */

static const HookSender *sender_of(const Webhooks *webhooks, gint64 id)
{
    for (guint i = 0; i < webhooks->senders->len; i++) {
        const HookSender *sender = g_ptr_array_index(webhooks->senders, i);
        if (hook_sender_id(sender) == id) {
            return sender;
        }
    }
    return NULL;
}

static gboolean list_has(const GPtrArray *hooks, gint64 id)
{
    for (guint i = 0; i < hooks->len; i++) {
        if (((const Hook *)g_ptr_array_index(hooks, i))->id == id) {
            return TRUE;
        }
    }
    return FALSE;
}

/* The first whose webhook was removed is taken out; NULL: none. */
static HookSender *take_gone(Webhooks *webhooks, const GPtrArray *hooks)
{
    HookSender *gone = NULL;
    g_mutex_lock(&webhooks->lock);
    for (guint i = 0; gone == NULL && i < webhooks->senders->len; i++) {
        HookSender *sender = g_ptr_array_index(webhooks->senders, i);
        if (!list_has(hooks, hook_sender_id(sender))) {
            hook_sender_count(sender, &webhooks->gone);
            gone = g_ptr_array_steal_index(webhooks->senders, i);
        }
    }
    g_mutex_unlock(&webhooks->lock);
    return gone;
}

static gboolean start_new(Webhooks *webhooks, GPtrArray *hooks, GError **error)
{
    while (hooks->len > 0) {
        g_autoptr(Hook) hook = g_ptr_array_steal_index(hooks, 0);
        if (sender_of(webhooks, hook->id) != NULL) { /* this thread alone changes the list */
            continue;
        }
        HookSender *sender = hook_sender_start(webhooks->storage, webhooks->ledger, g_steal_pointer(&hook), error);
        if (sender == NULL) {
            return FALSE;
        }
        g_mutex_lock(&webhooks->lock);
        g_ptr_array_add(webhooks->senders, sender);
        g_mutex_unlock(&webhooks->lock);
    }
    return TRUE;
}

/* --- the thread --- */

static gboolean look(Webhooks *webhooks, GError **error)
{
    HookSender *gone;
    guint64 sequence = database_sequence(webhooks->ledger);
    if (webhooks->turn == NULL) {
        webhooks->turn = ingot_lock_take(webhooks->lock_path, TRUE, FALSE, error);
    }
    if (webhooks->turn == NULL || sequence == webhooks->seen) {
        return webhooks->turn != NULL;
    }
    g_autoptr(GPtrArray) hooks = hooks_list(webhooks->ledger, error);
    if (hooks == NULL) {
        return FALSE;
    }
    while ((gone = take_gone(webhooks, hooks)) != NULL) {
        hook_sender_stop(gone);
    }
    if (!start_new(webhooks, hooks, error)) {
        return FALSE;
    }
    webhooks->seen = sequence;
    return TRUE;
}

static gpointer run_webhooks(gpointer user)
{
    Webhooks *webhooks = user;
    g_mutex_lock(&webhooks->lock);
    while (!webhooks->stopping) {
        g_autoptr(GError) error = NULL;
        g_mutex_unlock(&webhooks->lock);
        gboolean ok = look(webhooks, &error);
        if (!ok && !webhooks->told && !g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS)) {
            log_error("webhooks: %s", error->message);
        }
        webhooks->told = !ok;
        g_mutex_lock(&webhooks->lock);
        g_cond_wait_until(&webhooks->wake, &webhooks->lock, g_get_monotonic_time() + LOOK_EVERY);
    }
    g_mutex_unlock(&webhooks->lock);
    return NULL;
}

Webhooks *webhooks_start(Storage *storage, Database *ledger, const char *data, GError **error)
{
    Webhooks *webhooks = g_new0(Webhooks, 1);
    webhooks->storage = storage;
    webhooks->ledger = ledger;
    webhooks->lock_path = g_build_filename(data, "webhooks.lock", NULL);
    webhooks->senders = g_ptr_array_new_with_free_func((GDestroyNotify)hook_sender_stop);
    g_mutex_init(&webhooks->lock);
    g_cond_init(&webhooks->wake);
    webhooks->thread = crew_thread("webhooks", run_webhooks, webhooks, error);
    if (webhooks->thread == NULL) {
        webhooks_stop(webhooks);
        return NULL;
    }
    return webhooks;
}

void webhooks_stop(Webhooks *webhooks)
{
    if (webhooks == NULL) {
        return;
    }
    g_mutex_lock(&webhooks->lock);
    webhooks->stopping = TRUE;
    g_cond_signal(&webhooks->wake);
    g_mutex_unlock(&webhooks->lock);
    g_clear_pointer(&webhooks->thread, g_thread_join);
    g_ptr_array_unref(webhooks->senders);
    g_clear_pointer(&webhooks->turn, ingot_lock_release);
    g_mutex_clear(&webhooks->lock);
    g_cond_clear(&webhooks->wake);
    g_free(webhooks->lock_path);
    g_free(webhooks);
}

void webhooks_figures(Webhooks *webhooks, WebhookFigures *figures)
{
    g_mutex_lock(&webhooks->lock);
    *figures = (WebhookFigures){.hooks = webhooks->senders->len, .counts = webhooks->gone};
    for (guint i = 0; i < webhooks->senders->len; i++) {
        figures->failing += hook_sender_count(g_ptr_array_index(webhooks->senders, i), &figures->counts) ? 1 : 0;
    }
    g_mutex_unlock(&webhooks->lock);
}
