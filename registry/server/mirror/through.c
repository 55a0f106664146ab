#include "server/mirror/through.h"

#include <ingot/error.h>
#include <ingot/json.h>
#include <ingot/reference.h>
#include <string.h>

#include "server/http/log.h"
#include "server/mirror/copy.h"

#define MOMENT                                                                                                         \
    (G_TIME_SPAN_SECOND * 7 / 10)         /* for which a look-up is waited for where there is an answer without it     \
                                           */
#define LOOK_UP (20 * G_TIME_SPAN_SECOND) /* where there is none */
#define SMALL (5 * G_TIME_SPAN_SECOND)    /* for what an image can do without */
#define CATALOGUE_MAX (16u << 20)         /* bytes of Vagrant's catalogue */
#define SHORT (1u << 20)                  /* bytes of a blob that is waited for */
#define COPYING (60 * G_TIME_SPAN_MINUTE) /* for a blob: it ends when nothing comes any more */

struct Through {
    Storage *storage;
    GPtrArray *upstreams; /* of Upstream */
    Fetches *fetches;
    Colds *colds;
};

Through *through_new(Storage *storage, const char *folder, GPtrArray *upstreams, guint remember)
{
    Through *through = g_new0(Through, 1);
    through->storage = storage;
    through->upstreams = upstreams;
    through->fetches = fetches_new(remember);
    through->colds = colds_new(folder);
    return through;
}

void through_free(Through *through)
{
    if (through != NULL) {
        fetches_free(through->fetches);
        colds_free(through->colds);
        g_ptr_array_unref(through->upstreams);
        g_free(through);
    }
}

gboolean through_is_open(FetchOutcome outcome)
{
    return outcome == FETCH_FAILED || outcome == FETCH_PENDING || outcome == FETCH_BUSY;
}

/* --- what is asked for --- */

typedef struct Ask Ask;
typedef gboolean (*AskFunc)(const Ask *ask, Copy *copy, char **result, GError **error);

struct Ask {
    Through *through;
    Upstream *upstream;
    AskFunc function;
    char *name, *reference; /* reference: a tag or a digest; NULL: neither is needed */
    OciDigest named;        /* where the reference is a digest */
};

static void ask_free(gpointer data)
{
    Ask *ask = data;
    g_free(ask->name);
    g_free(ask->reference);
    g_free(ask);
}

static gboolean ask_run(gpointer data, char **result, GError **error)
{
    const Ask *ask = data;
    g_autoptr(GError) problem = NULL;
    IngotRemote *remote = upstream_borrow(ask->upstream, error);
    if (remote == NULL) {
        return FALSE;
    }
    Copy copy = {.storage = ask->through->storage, .remote = remote, .skip = strlen(upstream_prefix(ask->upstream))};
    if (ask->named.is_sha512) {
        ingot_remote_call(remote, &ask->named.key, ask->reference);
    }
    gboolean ok = ask->function(ask, &copy, result, &problem);
    upstream_give_back(ask->upstream, remote, problem);
    if (problem != NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return ok;
}

/* The one door to an upstream, so that nothing goes there that could be another path, or comes here under a name that
 * none may have. reference: a tag, a digest, or NULL. */
static Ask *ask_new(Through *through, const char *name, const char *reference, AskFunc function)
{
    OciDigest named = {0};
    Upstream *upstream = through == NULL ? NULL : upstreams_find(through->upstreams, name);
    if (upstream == NULL || !ingot_name_check(name, NULL) ||
        !ingot_name_check(name + strlen(upstream_prefix(upstream)), NULL)) {
        return NULL;
    }
    if (reference != NULL && !(strchr(reference, ':') != NULL ? oci_digest_parse(reference, &named, NULL)
                                                              : ingot_tag_check(reference, NULL))) {
        return NULL;
    }
    Ask *ask = g_new0(Ask, 1);
    *ask = (Ask){.through = through,
                 .upstream = upstream,
                 .function = function,
                 .name = g_strdup(name),
                 .reference = g_strdup(reference),
                 .named = named};
    return ask;
}

static char *ask_key(const Ask *ask, const char *what)
{
    return g_strdup_printf("%s %s%s%s", what, ask->name, ask->reference == NULL ? "" : " ",
                           ask->reference == NULL ? "" : ask->reference);
}

/* Waits for `wait` microseconds at most. The ask is taken; NULL: it is none. */
static FetchOutcome ask_get(Ask *ask, const char *what, gint64 wait, char **result)
{
    if (ask == NULL) {
        return FETCH_ABSENT;
    }
    Upstream *upstream = ask->upstream;
    g_autofree char *key = ask_key(ask, what);
    FetchOutcome outcome = fetches_get(ask->through->fetches, key, ask_run, ask, ask_free, wait, result);
    if (outcome == FETCH_PENDING) {
        upstream_was_late(upstream);
    }
    return outcome;
}

/* --- manifests --- */

/* Whether the tag here names what it names there, which is told without the manifest's bytes. */
static gboolean is_current(const Ask *ask, Copy *copy, gboolean *current, GError **error)
{
    IngotDigest here, digest;
    gboolean told;
    *current = FALSE;
    if (strchr(ask->reference, ':') != NULL ||
        !storage_find_tag(copy->storage, ask->name, ask->reference, &here, NULL)) {
        return TRUE;
    }
    if (!ingot_remote_find_tag(copy->remote, ask->name + copy->skip, ask->reference, &digest, &told, error)) {
        return FALSE;
    }
    *current = told && ingot_digest_equal(&here, &digest) && storage_has_manifest(copy->storage, ask->name, &here);
    return TRUE;
}

/* A tag that the upstream has no more goes here, too. That it answers 404 is not enough, which anything does that
 * stands in its place for a while: it has to know the repository, and to list the tags without this one. */
static void drop_withdrawn(const Ask *ask, const Copy *copy)
{
    static const StorageActor actor = {.name = "mirror", .reason = "its upstream has it no more"};
    g_autoptr(GError) problem = NULL;
    g_auto(GStrv) tags = ingot_remote_list_tags(copy->remote, ask->name + copy->skip, NULL);
    if (tags != NULL && !g_strv_contains((const char *const *)tags, ask->reference) &&
        !storage_withdraw_tag(copy->storage, &actor, ask->name, ask->reference, &problem)) {
        log_warning("%s:%s, which its upstream has no more, stays: %s", ask->name, ask->reference, problem->message);
    }
}

static gboolean get_manifest(const Ask *ask, Copy *copy, char **result, GError **error)
{
    gboolean current, changed;
    GError *problem = NULL;
    (void)result;
    if (!is_current(ask, copy, &current, &problem)) {
        if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
            drop_withdrawn(ask, copy);
        }
        g_propagate_error(error, problem);
        return FALSE;
    }
    return current || copy_manifest(copy, ask->name, ask->reference,
                                    strchr(ask->reference, ':') == NULL ? ask->reference : NULL, TRUE, &changed, error);
}

FetchOutcome through_manifest(Through *through, const char *name, const char *reference)
{
    IngotDigest digest;
    Ask *ask = ask_new(through, name, reference, get_manifest);
    if (ask == NULL) {
        return FETCH_ABSENT;
    }
    gboolean by_digest = strchr(reference, ':') != NULL;
    if (by_digest ? storage_resolve(through->storage, &ask->named, &digest, NULL) &&
                        storage_has_manifest(through->storage, name, &digest)
                  : storage_is_pushed(through->storage, name, reference)) {
        ask_free(ask);
        return FETCH_DONE;
    }
    gboolean is_here = !by_digest && storage_find_tag(through->storage, name, reference, &digest, NULL);
    return ask_get(ask, "manifest", is_here ? MOMENT : LOOK_UP, NULL);
}

/* --- blobs --- */

static gboolean get_blob(const Ask *ask, Copy *copy, char **result, GError **error)
{
    guint64 size;
    (void)result;
    g_autofree char *key = ask_key(ask, "blob");
    g_autoptr(Cold) cold = colds_get(ask->through->colds, key);
    cold_begin(cold);
    copy->cold = cold;
    gboolean ok = ingot_remote_blob_size(copy->remote, ask->name + copy->skip, &ask->named.key, &size, error) &&
                  copy_blob(copy, ask->name, &ask->named, size, error);
    copy->cold = NULL;
    cold_end(cold, ok);
    return ok;
}

static gboolean is_here(const Through *through, const char *name, const OciDigest *named)
{
    IngotDigest digest;
    return storage_resolve(through->storage, named, &digest, NULL) && storage_has(through->storage, name, &digest);
}

FetchOutcome through_blob(Through *through, const char *name, const OciDigest *named)
{
    g_autofree char *text = oci_digest_to_text(named);
    if (through != NULL && is_here(through, name, named)) {
        return FETCH_DONE;
    }
    return ask_get(ask_new(through, name, text, get_blob), "blob", COPYING, NULL);
}

static gboolean get_size(const Ask *ask, Copy *copy, char **result, GError **error)
{
    guint64 size;
    if (!ingot_remote_blob_size(copy->remote, ask->name + copy->skip, &ask->named.key, &size, error)) {
        return FALSE;
    }
    *result = g_strdup_printf("%" G_GUINT64_FORMAT, size);
    return TRUE;
}

FetchOutcome through_size(Through *through, const char *name, const OciDigest *named, guint64 *size)
{
    g_autofree char *text = oci_digest_to_text(named), *found = NULL;
    FetchOutcome outcome = ask_get(ask_new(through, name, text, get_size), "size of", LOOK_UP, &found);
    *size = found == NULL ? 0 : g_ascii_strtoull(found, NULL, 10);
    return outcome;
}

FetchOutcome through_open(Through *through, const char *name, const OciDigest *named, ColdReader **reader)
{
    guint64 size;
    g_autofree char *text = oci_digest_to_text(named);
    *reader = NULL;
    if (through == NULL) {
        return FETCH_ABSENT;
    }
    if (is_here(through, name, named)) {
        return FETCH_DONE;
    }
    FetchOutcome outcome = through_size(through, name, named, &size);
    if (outcome != FETCH_DONE) {
        return outcome;
    }
    if (size < SHORT) {
        return through_blob(through, name, named);
    }
    Ask *ask = ask_new(through, name, text, get_blob);
    if (ask == NULL) {
        return FETCH_ABSENT;
    }
    Upstream *upstream = ask->upstream;
    g_autofree char *key = ask_key(ask, "blob");
    g_autoptr(Cold) cold = colds_get(through->colds, key);
    outcome = fetches_get(through->fetches, key, ask_run, ask, ask_free, 0, NULL);
    if (outcome == FETCH_PENDING) {
        *reader = cold_reader_new(through->storage, upstream, name, named, size, g_steal_pointer(&cold));
        outcome = FETCH_DONE;
    }
    return outcome;
}

/* --- what is attached --- */

static gboolean get_referrers(const Ask *ask, Copy *copy, char **result, GError **error)
{
    (void)result;
    return copy_referrers(copy, ask->name, &ask->named, TRUE, error);
}

FetchOutcome through_referrers(Through *through, const char *name, const OciDigest *subject)
{
    g_autofree char *text = oci_digest_to_text(subject);
    Ask *ask = ask_new(through, name, text, get_referrers);
    if (ask == NULL) {
        return FETCH_ABSENT;
    }
    g_autoptr(GArray) here = storage_referrers(through->storage, name, &subject->key, NULL, NULL, 1, NULL);
    gboolean hurries = (here != NULL && here->len > 0) || upstream_is_late(ask->upstream);
    return ask_get(ask, "attached to", hurries ? MOMENT : SMALL, NULL);
}

/* --- lists --- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines of a text, with a prefix each, among our own; takes ours. */
static char **merge(char **ours, const char *prefix, const char *text, gboolean (*check)(const char *, GError **))
{
    g_auto(GStrv) own = ours;
    g_auto(GStrv) lines = g_strsplit(text == NULL ? "" : text, "\n", -1);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    GPtrArray *all = g_ptr_array_new();
    for (guint i = 0; own != NULL && own[i] != NULL; i++) {
        g_hash_table_add(seen, own[i]);
        g_ptr_array_add(all, g_strdup(own[i]));
    }
    for (guint i = 0; lines[i] != NULL; i++) {
        g_autofree char *name = g_strconcat(prefix, lines[i], NULL);
        if (check(name, NULL) && !g_hash_table_contains(seen, name)) {
            g_ptr_array_add(all, g_steal_pointer(&name));
        }
    }
    qsort(all->pdata, all->len, sizeof *all->pdata, by_text);
    gboolean is_empty = own == NULL && all->len == 0;
    g_ptr_array_add(all, NULL);
    char **list = (char **)g_ptr_array_free(all, FALSE);
    if (is_empty) {
        g_clear_pointer(&list, g_strfreev);
    }
    return list;
}

static gboolean give_list(char **list, char **result)
{
    *result = list == NULL ? NULL : g_strjoinv("\n", list);
    g_strfreev(list);
    return *result != NULL;
}

static gboolean get_tags(const Ask *ask, Copy *copy, char **result, GError **error)
{
    return give_list(ingot_remote_list_tags(copy->remote, ask->name + copy->skip, error), result);
}

char **through_tags(Through *through, const char *name, char **ours, gboolean *told)
{
    g_autofree char *text = NULL;
    Ask *ask = ask_new(through, name, NULL, get_tags);
    *told = FALSE;
    if (ask == NULL) {
        return ours;
    }
    ask_get(ask, "tags of", ours != NULL && upstream_is_late(ask->upstream) ? MOMENT : SMALL, &text);
    *told = text != NULL;
    return text == NULL ? ours : merge(ours, "", text, ingot_tag_check);
}

/* The tags of the versions in Vagrant's catalogue there: no other list tells which ones a channel has named. */
static gboolean get_versions(const Ask *ask, Copy *copy, char **result, GError **error)
{
    g_autofree char *path = g_strdup_printf("/vagrant/%s@%s", ask->name + copy->skip, ask->reference);
    g_autoptr(GBytes) bytes = ingot_remote_get_path(copy->remote, path, CATALOGUE_MAX, error);
    g_autoptr(json_t) root =
        bytes == NULL ? NULL : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), path, error);
    if (root == NULL) {
        return FALSE;
    }
    const json_t *versions = json_object_get(root, "versions");
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < json_array_size(versions); i++) {
        const char *version = json_string_value(json_object_get(json_array_get(versions, i), "version"));
        if (version != NULL && ingot_tag_check(version, NULL)) {
            g_string_append_printf(text, "%s%s", text->len == 0 ? "" : "\n", version);
        }
    }
    *result = g_string_free(text, FALSE);
    return TRUE;
}

char **through_channel(Through *through, const char *name, const char *channel)
{
    g_autofree char *text = NULL;
    Ask *ask = ask_new(through, name, channel, get_versions);
    if (ask == NULL) {
        return NULL;
    }
    ask_get(ask, "versions of", upstream_is_late(ask->upstream) ? MOMENT : SMALL, &text);
    return text == NULL ? NULL : g_strsplit(text, "\n", -1);
}

static gboolean get_names(const Ask *ask, Copy *copy, char **result, GError **error)
{
    (void)ask;
    return give_list(ingot_remote_list_names(copy->remote, error), result);
}

char **through_names(Through *through, char **ours)
{
    for (guint i = 0; through != NULL && i < through->upstreams->len; i++) {
        Upstream *upstream = g_ptr_array_index(through->upstreams, i);
        Ask *ask = g_new0(Ask, 1);
        *ask = (Ask){.through = through,
                     .upstream = upstream,
                     .function = get_names,
                     .name = g_strdup(upstream_prefix(upstream))};
        g_autofree char *text = NULL;
        ask_get(ask, "names below", upstream_is_late(upstream) ? MOMENT : SMALL, &text);
        ours = text == NULL ? ours : merge(ours, upstream_prefix(upstream), text, ingot_name_check);
    }
    return ours;
}
