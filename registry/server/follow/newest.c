#include "server/follow/newest.h"

#include <ingot/reference.h>
#include <string.h>

#include "base/json.h"
#include "server/storage/tail.h"

#define KEPT_MOST 8192u       /* events */
#define KEPT_BYTES (8u << 20) /* of their lines */

struct Newest {
    Storage *storage;
    StorageTail tail; /* the reader's own */
    GQueue read;      /* of NewestEvent, at most KEPT_MOST: the reader's own, until they are taken */
    GQueue kept;      /* of NewestEvent, the oldest first */
    gsize bytes;      /* of their lines */
    guint64 last, gone;
};

static void event_free(NewestEvent *event)
{
    g_free(event->name);
    g_free(event->line);
    g_free(event);
}

/* Of no name that a client may pull: without a line. */
static NewestEvent *event_new(guint64 number, const json_t *object)
{
    static const char *const shown[] = {"op", "name", "at", "tag", "digest", "type", "subject", "alias", "kind"};
    NewestEvent *event = g_new0(NewestEvent, 1);
    const char *name = json_string_value(json_object_get(object, "name"));
    event->number = number;
    if (name == NULL || !ingot_name_check(name, NULL)) {
        return event;
    }
    g_autoptr(json_t) line = json_object();
    for (guint i = 0; i < G_N_ELEMENTS(shown); i++) {
        json_t *member = json_object_get(object, shown[i]);
        if (member != NULL) {
            json_object_set(line, shown[i], member);
        }
    }
    json_object_set_new(line, "number", json_integer((json_int_t)number));
    g_autofree char *text = ingot_json_canonical(line);
    event->name = g_strdup(name);
    event->line = g_strconcat(text, "\n", NULL);
    event->size = strlen(event->line);
    return event;
}

/* Nothing up to that event is kept. */
static void newest_forget(Newest *newest, guint64 number)
{
    g_queue_clear_full(&newest->kept, (GDestroyNotify)event_free);
    newest->bytes = 0;
    newest->gone = newest->last = number;
}

/* Takes it over. */
static void newest_keep(Newest *newest, NewestEvent *event)
{
    if (event->number > newest->last + 1) { /* what a checkpoint stands for, or more at once than is kept */
        newest_forget(newest, event->number - 1);
    }
    newest->last = event->number;
    g_queue_push_tail(&newest->kept, event);
    newest->bytes += event->size;
    while (newest->kept.length > KEPT_MOST || newest->bytes > KEPT_BYTES) {
        NewestEvent *oldest = g_queue_pop_head(&newest->kept);
        newest->gone = oldest->number;
        newest->bytes -= oldest->size;
        event_free(oldest);
    }
}

static void take_event(guint64 number, const json_t *object, gpointer user)
{
    Newest *newest = user;
    g_queue_push_tail(&newest->read, event_new(number, object));
    if (newest->read.length > KEPT_MOST) {
        event_free(g_queue_pop_head(&newest->read));
    }
}

gboolean newest_read(Newest *newest, GError **error)
{
    return storage_tail(newest->storage, &newest->tail, take_event, newest, error);
}

void newest_take(Newest *newest)
{
    for (NewestEvent *event; (event = g_queue_pop_head(&newest->read)) != NULL;) {
        newest_keep(newest, event);
    }
    if (newest->tail.number > newest->last) { /* a checkpoint has taken the place of the last ones */
        newest_forget(newest, newest->tail.number);
    }
}

Newest *newest_new(Storage *storage, GError **error)
{
    g_autoptr(Newest) newest = g_new0(Newest, 1);
    newest->storage = storage;
    if (!storage_tail_begin(storage, &newest->tail, KEPT_MOST, error)) {
        return NULL;
    }
    newest_forget(newest, newest->tail.number);
    if (!newest_read(newest, error)) {
        return NULL;
    }
    newest_take(newest);
    return g_steal_pointer(&newest);
}

void newest_free(Newest *newest)
{
    if (newest != NULL) {
        g_queue_clear_full(&newest->read, (GDestroyNotify)event_free);
        g_queue_clear_full(&newest->kept, (GDestroyNotify)event_free);
        g_free(newest);
    }
}

guint64 newest_last(const Newest *newest)
{
    return newest->last;
}

guint64 newest_gone(const Newest *newest)
{
    return newest->gone;
}

const GList *newest_behind(const Newest *newest, guint64 number)
{
    const GList *link = newest->kept.tail, *behind = NULL;
    while (link != NULL && ((const NewestEvent *)link->data)->number > number) {
        behind = link;
        link = link->prev;
    }
    return behind;
}
