#include "server/storage/states.h"

#include <string.h>

#include "base/json.h"
#include "server/catalogue/recordrows.h"
#include "server/storage/bases.h"
#include "server/storage/inside.h"
#include "server/storage/records.h"

static guint count_of(const char *text, const char *part)
{
    guint count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + strlen(part), part)) {
        count++;
    }
    return count;
}

/* Whether a body has a word that may count in other repositories than its own: one that was not said for that alone.
 * Whoever may push can have a hundred words on an image in each repository of his own, which are not even parsed. */
static gboolean counts_elsewhere(const char *text)
{
    return count_of(text, "\"state\":") > count_of(text, "\"everywhere\":false");
}

/* --- bases --- */

typedef struct {
    json_t *list;
    const char *name;  /* the image's repository */
    const char *named; /* what is named for the base; NULL: nothing */
    gboolean unread;   /* which one is named is not known: any may be */
} BaseStates;

/* Whether `repository` is PREFIX/NAMED, and the image's own is of that PREFIX too. */
static gboolean is_mirror_of(const BaseStates *states, const char *repository)
{
    gsize whole = strlen(repository), tail = states->named == NULL ? whole : strlen(states->named);
    gsize prefix = tail < whole ? whole - tail : 0;
    return prefix > 1 && repository[prefix - 1] == '/' && strcmp(repository + prefix, states->named) == 0 &&
           strncmp(repository, states->name, prefix) == 0;
}

static gboolean is_named(const BaseStates *states, const char *repository)
{
    return states->unread || strcmp(repository, states->name) == 0 || g_strcmp0(repository, states->named) == 0;
}

static gboolean base_wants(const char *name, const char *text, gpointer user)
{
    return is_named(user, name) || is_mirror_of(user, name) || counts_elsewhere(text);
}

static gboolean base_take(const RecordRow *row, gpointer user)
{
    const BaseStates *states = user;
    json_array_append_new(states->list,
                          ingot_json_pack("{s:s, s:s, s:O, s:b, s:b}", "name", row->name, "digest", row->key, "body",
                                          row->body, "named", (int)is_named(states, row->name), "mirror",
                                          (int)is_mirror_of(states, row->name)));
    return TRUE;
}

static json_t *states_of_bases(Storage *storage, const char *name, const IngotDigest *image, GError **error)
{
    g_autoptr(json_t) list = json_array();
    g_autoptr(GArray) bases = storage_bases(storage, image, error);
    g_autoptr(Connection) reader = bases == NULL ? NULL : database_reader(storage->catalogue, error);
    for (guint i = 0; reader != NULL && i < bases->len; i++) {
        const StorageBase *base = &g_array_index(bases, StorageBase, i);
        BaseStates states = {.list = list, .name = name, .named = base->name, .unread = base->unread};
        g_autofree char *digest = ingot_digest_to_text(&base->digest);
        if (!record_rows_each_wanted(reader, STATE_RECORD, digest, base_wants, base_take, &states, error)) {
            return NULL;
        }
    }
    return reader == NULL ? NULL : g_steal_pointer(&list);
}

/* --- the image itself --- */

typedef struct {
    const char *name; /* the image's repository */
    json_t *own;      /* NULL: it says nothing */
    json_t *others;
} ImageStates;

static gboolean image_wants(const char *name, const char *text, gpointer user)
{
    const ImageStates *states = user;
    return strcmp(name, states->name) == 0 || counts_elsewhere(text);
}

static gboolean image_take(const RecordRow *row, gpointer user)
{
    ImageStates *states = user;
    if (strcmp(row->name, states->name) == 0) {
        states->own = json_deep_copy(row->body);
    } else {
        json_array_append_new(states->others, ingot_json_pack("{s:s, s:O}", "name", row->name, "body", row->body));
    }
    return TRUE;
}

json_t *storage_states_of(Storage *storage, const char *name, const IngotDigest *image, GError **error)
{
    g_autoptr(json_t) others = json_array();
    ImageStates states = {.name = name, .others = others};
    g_autofree char *digest = ingot_digest_to_text(image);
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    gboolean ok = reader != NULL &&
                  record_rows_each_wanted(reader, STATE_RECORD, digest, image_wants, image_take, &states, error);
    g_autoptr(json_t) own = states.own;
    return !ok || (own == NULL && json_array_size(others) == 0)
               ? NULL
               : json_pack("{s:O*, s:O}", "own", own, "others", others);
}

json_t *storage_states(Storage *storage, const char *name, const IngotDigest *image, GError **error)
{
    GError *problem = NULL;
    g_autoptr(json_t) states = storage_states_of(storage, name, image, &problem);
    g_autoptr(json_t) bases = problem == NULL ? states_of_bases(storage, name, image, &problem) : NULL;
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    if (states == NULL && json_array_size(bases) > 0) {
        states = json_object();
    }
    if (states != NULL) {
        json_object_set(states, "bases", bases);
    }
    return g_steal_pointer(&states);
}
