#include "server/storage/givenup.h"

#include <string.h>

typedef struct {
    const Replay *lost;
    GHashTable *lines; /* "RANK NAME KIND WHAT" -> json_t: the last event of that rank that tells of it */
} GivenUp;

/* In the order in which a rebuild can do them again. */
typedef enum { RANK_LINK, RANK_ALIAS, RANK_MANIFEST, RANK_TAG } GivenUpRank;

static gboolean givenup_has(const Replay *lost, const char *entry)
{
    return g_hash_table_contains(lost->given_up, entry) && g_hash_table_contains(lost->names, entry);
}

/* What an event tells of: "NAME KIND WHAT"; NULL: of no name. Free it. */
static char *givenup_entry(const json_t *object, GivenUpRank *rank)
{
    static const struct {
        const char *op, *kind, *member;
        GivenUpRank rank;
    } ops[] = {
        {"link", "blob", "digest", RANK_LINK},
        {"alias", "blob", "digest", RANK_ALIAS},
        {"manifest", "manifest", "digest", RANK_MANIFEST},
        {"tag", "tag", "tag", RANK_TAG},
    };
    const char *op = json_string_value(json_object_get(object, "op"));
    const char *name = json_string_value(json_object_get(object, "name"));
    for (guint i = 0; name != NULL && i < G_N_ELEMENTS(ops); i++) {
        const char *what = json_string_value(json_object_get(object, ops[i].member));
        if (what != NULL && g_strcmp0(op, ops[i].op) == 0) {
            *rank = ops[i].rank;
            return g_strjoin(" ", name, ops[i].kind, what, NULL);
        }
    }
    return NULL;
}

/* As a picture has it: without what proves its place among events. */
static json_t *givenup_line(const json_t *object)
{
    json_t *line = json_deep_copy(object);
    json_object_del(line, "n");
    json_object_del(line, "tx");
    json_object_del(line, "prev");
    return line;
}

static gboolean givenup_take(const Event *event, gpointer user, GError **error)
{
    const GivenUp *found = user;
    GivenUpRank rank = RANK_LINK;
    g_autofree char *entry = event->object == NULL ? NULL : givenup_entry(event->object, &rank);
    (void)error;
    if (entry != NULL && givenup_has(found->lost, entry)) {
        g_hash_table_insert(found->lines, g_strdup_printf("%u %s", (guint)rank, entry), givenup_line(event->object));
    }
    return TRUE;
}

static gboolean givenup_add_lines(const GivenUp *found, Checkpoint *checkpoint, GError **error)
{
    g_autoptr(GList) keys = g_list_sort(g_hash_table_get_keys(found->lines), (GCompareFunc)strcmp);
    gboolean ok = TRUE;
    for (const GList *one = keys; ok && one != NULL; one = one->next) {
        ok = checkpoint_add(checkpoint, g_hash_table_lookup(found->lines, one->data), error);
    }
    return ok;
}

/* The event by which a rebuild gives it up. */
static gboolean givenup_add_end(const char *entry, Checkpoint *checkpoint, GError **error)
{
    g_auto(GStrv) words = g_strsplit(entry, " ", 3);
    gboolean is_tag = strcmp(words[1], "tag") == 0;
    g_autoptr(json_t) line = ingot_json_pack("{s:s, s:s, s:s}", "op", is_tag ? "untag" : "unlink", "name", words[0],
                                             is_tag ? "tag" : "digest", words[2]);
    replay_mark_given_up(line);
    return checkpoint_add(checkpoint, line, error);
}

gboolean givenup_picture(const char *log, guint64 end, const Replay *lost, Checkpoint *checkpoint, GError **error)
{
    g_autoptr(GHashTable) lines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)json_decref);
    GivenUp found = {.lost = lost, .lines = lines};
    if (g_hash_table_size(lost->given_up) == 0) {
        return TRUE;
    }
    gboolean ok = end == G_MAXUINT64 ? eventlog_read_whole(log, G_MAXUINT64, givenup_take, &found, NULL, error)
                                     : eventlog_read(log, end, givenup_take, &found, NULL, error);
    ok = ok && givenup_add_lines(&found, checkpoint, error);
    g_autoptr(GList) entries = g_list_sort(g_hash_table_get_keys(lost->given_up), (GCompareFunc)strcmp);
    for (const GList *one = entries; ok && one != NULL; one = one->next) {
        ok = !givenup_has(lost, one->data) || givenup_add_end(one->data, checkpoint, error);
    }
    return ok;
}
