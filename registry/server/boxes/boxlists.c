/* The lists that are kept, with their texts. */
#include <string.h>

#include "base/json.h"
#include "server/boxes/boxes.h"
#include "server/boxes/boxlist.h"
#include "server/storage/changes.h"
#include "server/views/image.h"

#define KEPT_MAX ((gsize)64 << 20)     /* bytes of all texts; past it, all go */
#define GOOD (30 * G_TIME_SPAN_SECOND) /* for which a list is good, whatever is to change by time alone */
#define PROVIDER_BYTES 512             /* that a provider takes in memory, about */

struct BoxLists {
    GMutex lock;
    GHashTable *lists; /* "BASE SHOWN" -> BoxList */
    gsize size;
};

BoxLists *boxlists_new(void)
{
    BoxLists *lists = g_new0(BoxLists, 1);
    g_mutex_init(&lists->lock);
    lists->lists = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)boxlist_unref);
    return lists;
}

void boxlists_free(BoxLists *lists)
{
    if (lists != NULL) {
        g_hash_table_unref(lists->lists);
        g_mutex_clear(&lists->lock);
        g_free(lists);
    }
}

static char *list_key(const char *shown, const char *base)
{
    return g_strconcat(base, " ", shown, NULL);
}

static BoxList *list_look(BoxLists *lists, const char *key)
{
    g_mutex_lock(&lists->lock);
    BoxList *list = g_hash_table_lookup(lists->lists, key);
    if (list != NULL) {
        boxlist_ref(list);
    }
    g_mutex_unlock(&lists->lock);
    return list;
}

/* The sequence was read before it was found that nothing of names has changed. */
static void list_move_on(BoxLists *lists, BoxList *list, guint64 sequence)
{
    g_mutex_lock(&lists->lock);
    list->sequence = sequence;
    g_mutex_unlock(&lists->lock);
}

static guint64 list_sequence(BoxLists *lists, const BoxList *list)
{
    g_mutex_lock(&lists->lock);
    guint64 sequence = list->sequence;
    g_mutex_unlock(&lists->lock);
    return sequence;
}

BoxList *boxlists_find(const Server *server, const char *shown, const char *base, gboolean slow)
{
    BoxLists *lists = server->boxes->lists;
    g_autofree char *key = list_key(shown, base);
    g_autoptr(BoxList) list = list_look(lists, key);
    if (list == NULL || g_get_monotonic_time() >= list->until) {
        return NULL;
    }
    guint64 sequence = storage_sequence(server->storage), event;
    if (sequence == list_sequence(lists, list)) {
        return g_steal_pointer(&list);
    }
    if (!slow || !storage_last_event(server->storage, &event, NULL) || event != list->event) {
        return NULL;
    }
    list_move_on(lists, list, sequence);
    return g_steal_pointer(&list);
}

static char *with_base(const VagrantProvider *provider, gpointer base)
{
    return g_str_has_prefix(provider->url, BOX_FORMATS) ? g_strconcat(base, provider->url, NULL)
                                                        : g_strdup(provider->url);
}

static void list_write(BoxList *list, const char *base)
{
    g_autoptr(json_t) body = vagrant_box_json(list->box, with_base, (gpointer)base);
    char *text = ingot_json_pretty(body);
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
    list->text = g_bytes_new_take(text, strlen(text));
    list->tag = g_strdup_printf("\"%.32s\"", sum);
}

static gsize list_size(const BoxList *list)
{
    gsize providers = 0;
    for (guint i = 0; i < list->box->versions->len; i++) {
        const VagrantVersion *version = g_ptr_array_index(list->box->versions, i);
        providers += 1 + version->providers->len;
    }
    return g_bytes_get_size(list->text) + PROVIDER_BYTES * providers;
}

void boxlists_keep(const Server *server, const char *shown, const char *base, BoxList *list)
{
    BoxLists *lists = server->boxes->lists;
    list_write(list, base);
    gsize size = list_size(list);
    if (!list->is_whole || size > KEPT_MAX) {
        return;
    }
    list->until = g_get_monotonic_time() + GOOD;
    char *key = list_key(shown, base);
    g_mutex_lock(&lists->lock);
    const BoxList *before = g_hash_table_lookup(lists->lists, key);
    lists->size -= before == NULL ? 0 : list_size(before);
    if (lists->size + size > KEPT_MAX) {
        g_hash_table_remove_all(lists->lists);
        lists->size = 0;
    }
    lists->size += size;
    g_hash_table_replace(lists->lists, key, boxlist_ref(list));
    g_mutex_unlock(&lists->lock);
}

BoxList *boxlists_get(Request *request, const char *shown, const char *base, gint64 until, GError **error)
{
    BoxList *kept = boxlists_find(request->server, shown, base, TRUE);
    g_autoptr(BoxSource) source = kept == NULL ? box_source_new(shown, error) : NULL;
    if (source == NULL || !box_source_look(request->server, source, error)) {
        return kept;
    }
    g_autoptr(BoxList) list = boxlist_make(request, source, until);
    if (list == NULL) {
        return NULL;
    }
    if (list->is_busy) {
        g_set_error(error, VIEW_ERROR, VIEW_ERROR_BUSY, "the images that are being read fill the memory; try again");
        return NULL;
    }
    boxlists_keep(request->server, shown, base, list);
    return g_steal_pointer(&list);
}
