#include "server/storage/replay.h"

#include <string.h>

#include "server/catalogue/holdings.h"

Replay *replay_new(void)
{
    Replay *replay = g_new0(Replay, 1);
    replay->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    replay->given_up = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    replay->aliases = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    replay->gaps = g_ptr_array_new_with_free_func(g_free);
    replay->unknown = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return replay;
}

void replay_free(Replay *replay)
{
    if (replay != NULL) {
        g_hash_table_unref(replay->names);
        g_hash_table_unref(replay->given_up);
        g_hash_table_unref(replay->aliases);
        g_ptr_array_unref(replay->gaps);
        g_hash_table_unref(replay->unknown);
        g_free(replay);
    }
}

/* --- events --- */

/* What a repository has, as a text: "NAME blob DIGEST", "NAME manifest DIGEST", "NAME tag TAG". */
static char *replay_entry(const char *name, const char *kind, const char *what)
{
    return g_strjoin(" ", name, kind, what, NULL);
}

static void replay_add(Replay *replay, const char *name, const char *kind, const char *what, const char *digest)
{
    if (name != NULL && what != NULL && digest != NULL) {
        g_autofree char *entry = replay_entry(name, kind, what);
        g_hash_table_remove(replay->given_up, entry);
        g_hash_table_insert(replay->names, g_steal_pointer(&entry), g_strdup(digest));
    }
}

static void replay_alias(Replay *replay, const char *alias, const char *digest)
{
    if (alias != NULL && digest != NULL) {
        g_hash_table_insert(replay->aliases, g_strdup(alias), g_strdup(digest));
    }
}

static void replay_drop(Replay *replay, gboolean gives_up, const char *name, const char *kind, const char *what)
{
    if (name == NULL || what == NULL) {
        return;
    }
    g_autofree char *entry = replay_entry(name, kind, what);
    if (!gives_up) {
        g_hash_table_remove(replay->given_up, entry);
        g_hash_table_remove(replay->names, entry);
    } else if (g_hash_table_contains(replay->names, entry)) {
        g_hash_table_add(replay->given_up, g_steal_pointer(&entry));
    }
}

gboolean replay_knows(const char *op)
{
    static const char *const known[] = {"link",  "manifest", "alias",   "tag",    "untag", "unlink",
                                        "found", "past",     "rebuilt", "record", NULL};
    return op != NULL && g_strv_contains(known, op);
}

gboolean replay_gives_up(const json_t *object)
{
    return g_strcmp0(json_string_value(json_object_get(object, "by")), "rebuild") == 0 &&
           g_strcmp0(json_string_value(json_object_get(object, "why")), "lost") == 0;
}

void replay_mark_given_up(json_t *object)
{
    ingot_json_set_string(object, "by", "rebuild");
    ingot_json_set_string(object, "why", "lost");
}

void replay_give_up(Replay *replay, const ReplayDifference *difference)
{
    g_hash_table_add(replay->given_up, replay_entry(difference->name, difference->kind, difference->what));
}

static void replay_unknown(Replay *replay, const char *op)
{
    const char *kind = op == NULL ? "" : op;
    guint count = GPOINTER_TO_UINT(g_hash_table_lookup(replay->unknown, kind));
    g_hash_table_insert(replay->unknown, g_strdup(kind), GUINT_TO_POINTER(count + 1));
}

gboolean replay_take(const Event *event, gpointer user, GError **error)
{
    (void)error;
    Replay *replay = user;
    if (event->object == NULL && event->gap == EVENT_GAP_REPLACED) {
        return TRUE;
    }
    if (event->object == NULL) {
        g_ptr_array_add(replay->gaps, g_strdup(event->trouble));
        return TRUE;
    }
    const char *op = json_string_value(json_object_get(event->object, "op"));
    const char *name = json_string_value(json_object_get(event->object, "name"));
    const char *tag = json_string_value(json_object_get(event->object, "tag"));
    const char *digest = json_string_value(json_object_get(event->object, "digest"));
    gboolean gives_up = replay->anew && replay_gives_up(event->object);
    if (!replay_knows(op)) {
        replay_unknown(replay, op);
    } else if (strcmp(op, "link") == 0) {
        replay_add(replay, name, "blob", digest, digest);
    } else if (strcmp(op, "manifest") == 0) {
        replay_add(replay, name, "manifest", digest, digest);
    } else if (strcmp(op, "alias") == 0) {
        replay_alias(replay, json_string_value(json_object_get(event->object, "alias")), digest);
    } else if (strcmp(op, "tag") == 0) {
        replay_add(replay, name, "tag", tag, digest);
    } else if (strcmp(op, "untag") == 0) {
        replay_drop(replay, gives_up, name, "tag", tag);
    } else if (strcmp(op, "unlink") == 0) {
        replay_drop(replay, gives_up, name, "blob", digest);
        replay_drop(replay, gives_up, name, "manifest", digest);
    } else if (strcmp(op, "found") == 0) {
        const char *kind = json_string_value(json_object_get(event->object, "kind"));
        replay_add(replay, name, kind == NULL ? "" : kind, tag == NULL ? digest : tag, digest);
    } else if (strcmp(op, "rebuilt") == 0) {
        json_int_t gaps = json_integer_value(json_object_get(event->object, "gaps"));
        replay->acknowledged = gaps > 0 ? (guint64)gaps : 0;
    }
    return TRUE;
}

/* --- comparing --- */

typedef struct {
    Replay *replay;
    const char *repository;
    ReplayFunc func;
    gpointer user;
} Comparing;

/* What both have is taken out of the replay; what only the catalogue has is told. */
static void compare_one(const Comparing *comparing, const char *kind, const char *tag, const IngotDigest *digest)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    ReplayDifference found = {
        .name = comparing->repository, .kind = kind, .what = tag == NULL ? text : tag, .digest = text};
    g_autofree char *entry = replay_entry(found.name, kind, found.what);
    if (g_strcmp0(g_hash_table_lookup(comparing->replay->names, entry), text) == 0) {
        g_hash_table_remove(comparing->replay->names, entry);
        found.back = found.given_up = g_hash_table_contains(comparing->replay->given_up, entry);
    } else {
        found.catalogue = TRUE;
    }
    if (found.catalogue || found.back) {
        comparing->func(&found, comparing->user);
    }
}

static gboolean compare_repository(const Comparing *comparing, Connection *connection, gint64 repository,
                                   GError **error)
{
    g_autoptr(GArray) links = holdings_links(connection, repository, error);
    g_autoptr(GArray) tags = links == NULL ? NULL : holdings_tags(connection, repository, error);
    if (tags == NULL) {
        return FALSE;
    }
    for (guint i = 0; i < links->len; i++) {
        const HoldingLink *link = &g_array_index(links, HoldingLink, i);
        compare_one(comparing, "blob", NULL, &link->digest);
        if (link->manifest) {
            compare_one(comparing, "manifest", NULL, &link->digest);
        }
    }
    for (guint i = 0; i < tags->len; i++) {
        const HoldingTag *tag = &g_array_index(tags, HoldingTag, i);
        compare_one(comparing, "tag", tag->name, &tag->digest);
    }
    return TRUE;
}

static void compare_rest(Replay *replay, ReplayFunc func, gpointer user)
{
    g_autoptr(GList) entries = g_list_sort(g_hash_table_get_keys(replay->names), (GCompareFunc)strcmp);
    for (const GList *one = entries; one != NULL; one = one->next) {
        g_auto(GStrv) words = g_strsplit(one->data, " ", 3);
        const ReplayDifference left = {.name = words[0],
                                       .kind = words[1],
                                       .what = words[2],
                                       .digest = g_hash_table_lookup(replay->names, one->data),
                                       .given_up = g_hash_table_contains(replay->given_up, one->data)};
        func(&left, user);
    }
}

gboolean replay_compare(Replay *replay, Connection *connection, ReplayFunc func, gpointer user, GError **error)
{
    g_autoptr(GArray) repositories = holdings_repositories(connection, error);
    for (guint i = 0; repositories != NULL && i < repositories->len; i++) {
        const HoldingRepository *one = &g_array_index(repositories, HoldingRepository, i);
        const Comparing comparing = {.replay = replay, .repository = one->name, .func = func, .user = user};
        if (!compare_repository(&comparing, connection, one->id, error)) {
            return FALSE;
        }
    }
    if (repositories != NULL) {
        compare_rest(replay, func, user);
    }
    return repositories != NULL;
}
