#include "server/mirror/through.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "base/json.h"
#include "remote/ours.h"
#include "server/http/log.h"
#include "server/mirror/ask.h"
#include "server/mirror/copy.h"
#include "server/mirror/told.h"
#include "server/storage/channels.h"
#include "server/storage/mentions.h"
#include "server/storage/pushers.h"

#define MOMENT                                                                                                         \
    (G_TIME_SPAN_SECOND * 7 / 10)      /* for which a look-up is waited for where there is an answer without it        \
                                        */
#define LOOK_UP THROUGH_WAIT           /* where there is none */
#define SMALL (5 * G_TIME_SPAN_SECOND) /* for what an image can do without */
#define CATALOGUE_MAX (16u << 20)      /* bytes of Vagrant's catalogue */
#define CATALOGUE_VALUES (1u << 18)
#define SHORT (1u << 20) /* bytes of a blob that is waited for */

struct Through {
    Storage *storage;
    Asks *asks;
};

Through *through_new(Storage *storage, const char *folder, GPtrArray *upstreams, guint remember)
{
    Through *through = g_new0(Through, 1);
    through->storage = storage;
    through->asks = asks_new(storage, folder, upstreams, remember);
    return through;
}

void through_free(Through *through)
{
    if (through != NULL) {
        asks_free(through->asks);
        g_free(through);
    }
}

gboolean through_is_open(FetchOutcome outcome)
{
    return outcome == FETCH_FAILED || outcome == FETCH_PENDING || outcome == FETCH_BUSY;
}

const char *through_reason(FetchOutcome outcome)
{
    return outcome == FETCH_PENDING ? "the upstream has not given it yet; try again"
           : outcome == FETCH_BUSY  ? "too much is being asked of the upstream; try again"
                                    : "the upstream, which may have it, does not answer as it should";
}

/* NULL: it is none, or there is no upstream. */
static Ask *through_ask(Through *through, const char *name, const char *reference, const char *what, AskFunc function)
{
    return through == NULL ? NULL : ask_new(through->asks, name, reference, what, function);
}

/* --- what is attached --- */

#define ATTACHED "attached to" /* what is asked */

static void log_left(const char *line, gpointer user)
{
    (void)user;
    log_warning("upstream: %s", line);
}

/* A list of which a part could not be had is not had. Some registries refuse what they don't have; of a manifest that
 * is here a refusal does not say that nothing is attached to it. */
static gboolean get_referrers(const Ask *ask, Copy *copy, char **result, GError **error)
{
    IngotDigest digest;
    GError *problem = NULL;
    (void)result;
    copy->tell = log_left;
    if (!copy_referrers(copy, ask->name, &ask->named, TRUE, &problem)) {
        gboolean refused = g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_DENIED) &&
                           storage_resolve(copy->storage, &ask->named, &digest, NULL) &&
                           storage_has_manifest(copy->storage, ask->name, &digest);
        problem->code = refused ? INGOT_ERROR_FAILED : problem->code;
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (copy->left > copy->lost) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%" G_GUINT64_FORMAT " attachments could not be copied",
                    copy->left - copy->lost);
        return FALSE;
    }
    return TRUE;
}

/* Whether all attachments are here that the upstream has named. It has no say in those of a manifest that was pushed
 * here. */
static gboolean has_attached(Storage *storage, const char *name, const OciDigest *subject)
{
    IngotDigest digest;
    return told_is_here(storage, name, subject) ||
           (!told_any(storage, name, subject) && storage_resolve(storage, subject, &digest, NULL) &&
            storage_has_pushed(storage, name, &digest));
}

FetchOutcome through_referrers(Through *through, const char *name, const OciDigest *subject)
{
    g_autofree char *text = oci_digest_to_text(subject);
    Ask *ask = through_ask(through, name, text, ATTACHED, get_referrers);
    if (ask == NULL) {
        return FETCH_ABSENT;
    }
    gboolean known = told_any(through->storage, name, subject);
    FetchOutcome outcome = ask_get(ask, known || upstream_is_late(ask->upstream) ? MOMENT : SMALL, NULL);
    return through_is_open(outcome) && has_attached(through->storage, name, subject) ? FETCH_DONE : outcome;
}

/* Somebody is known to have pushed it here, so that an upstream need not have heard of it. */
static gboolean is_own(Storage *storage, const char *name, const IngotDigest *image)
{
    g_auto(GStrv) pushers = storage_pushers(storage, name, image, NULL);
    return pushers != NULL && pushers[0] != NULL;
}

gboolean through_attached(Through *through, const char *name, const IngotDigest *image, GError **error)
{
    const OciDigest subject = oci_digest_from_sha256(image);
    g_autofree char *text = oci_digest_to_text(&subject);
    FetchOutcome outcome = ask_get(through_ask(through, name, text, ATTACHED, get_referrers), LOOK_UP, NULL);
    if (!through_is_open(outcome) || is_own(through->storage, name, image)) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "what is attached to it elsewhere is not known: %s",
                through_reason(outcome));
    return FALSE;
}

/* The manifest here that a tag or a digest names, and what it is called by. */
static gboolean find_subject(Storage *storage, const char *name, const char *reference, OciDigest *subject,
                             IngotDigest *digest)
{
    if (strchr(reference, ':') != NULL) {
        return oci_digest_parse(reference, subject, NULL) && storage_resolve(storage, subject, digest, NULL);
    }
    gboolean found = storage_find_tag(storage, name, reference, digest, NULL);
    *subject = found ? oci_digest_from_sha256(digest) : (OciDigest){0};
    return found;
}

/* Begins to ask for what is attached to a manifest that came from the upstream, unless that has told: so it is known
 * when the upstream can't be asked. */
static void learn_attached(Through *through, const char *name, const char *reference)
{
    OciDigest subject;
    IngotDigest digest;
    if (find_subject(through->storage, name, reference, &subject, &digest) &&
        !told_any(through->storage, name, &subject) && !storage_has_pushed(through->storage, name, &digest)) {
        g_autofree char *text = oci_digest_to_text(&subject);
        ask_get(through_ask(through, name, text, ATTACHED, get_referrers), 0, NULL);
    }
}

/* --- manifests --- */

/* A tag that the upstream has no more goes here, too. That it answers 404 is not enough, which anything does that
 * stands in its place for a while: it has to know the repository, and to list the tags without this one. */
static void drop_withdrawn(const Ask *ask, const Copy *copy)
{
    static const StorageActor actor = {.name = "mirror", .reason = "its upstream has it no more"};
    g_autoptr(GError) problem = NULL;
    g_auto(GStrv) tags = ingot_remote_list_tags(copy->remote, ask_there(ask), NULL);
    if (tags != NULL && !g_strv_contains((const char *const *)tags, ask->reference) &&
        !storage_withdraw_tag(copy->storage, &actor, ask->name, ask->reference, &problem)) {
        log_warning("%s:%s, which its upstream has no more, stays: %s", ask->name, ask->reference, problem->message);
    }
}

static gboolean get_manifest(const Ask *ask, Copy *copy, char **result, GError **error)
{
    gboolean changed, is_tag = strchr(ask->reference, ':') == NULL;
    IngotDigest here;
    g_autoptr(GError) problem = NULL;
    (void)result;
    if (copy_manifest(copy, ask->name, ask->reference, is_tag ? ask->reference : NULL, TRUE, &changed, &problem)) {
        return TRUE;
    }
    if (is_tag && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) &&
        storage_find_tag(copy->storage, ask->name, ask->reference, &here, NULL)) {
        drop_withdrawn(ask, copy);
    }
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
}

gboolean through_is_ours(Storage *storage, const char *name, const char *tag)
{
    return storage_is_pushed(storage, name, tag) || storage_is_guarded(storage, name, tag);
}

FetchOutcome through_manifest(Through *through, const char *name, const char *reference)
{
    IngotDigest digest;
    Ask *ask = through_ask(through, name, reference, "manifest", get_manifest);
    if (ask == NULL) {
        return FETCH_ABSENT;
    }
    gboolean by_digest = strchr(reference, ':') != NULL;
    gboolean is_here = !by_digest && storage_find_tag(through->storage, name, reference, &digest, NULL);
    if (!by_digest && through_is_ours(through->storage, name, reference)) {
        ask_free(ask);
        return is_here ? FETCH_DONE : FETCH_ABSENT;
    }
    if (by_digest && storage_resolve(through->storage, &ask->named, &digest, NULL) &&
        storage_has_manifest(through->storage, name, &digest) && storage_is_whole(through->storage, name, &digest)) {
        ask_free(ask);
        return FETCH_DONE;
    }
    FetchOutcome outcome = ask_get(ask, is_here ? MOMENT : LOOK_UP, NULL);
    if (outcome == FETCH_DONE) {
        learn_attached(through, name, reference);
    }
    return outcome;
}

/* --- blobs --- */

static gboolean get_blob(const Ask *ask, Copy *copy, char **result, GError **error)
{
    guint64 size;
    (void)result;
    cold_begin(ask->cold);
    return copy->goes_on(copy->goes_on_user, error) &&
           ingot_remote_blob_size(copy->remote, ask_there(ask), &ask->named.key, &size, error) &&
           copy_blob(copy, ask->name, &ask->named, size, error);
}

/* Begins to copy the blob, unless it comes already, and waits that long. *cold (may be NULL; unref it) is what it
 * brings, where it goes on. */
static FetchOutcome fetch_blob(Through *through, const char *name, const OciDigest *named, gint64 wait, Cold **cold)
{
    g_autofree char *text = oci_digest_to_text(named);
    Ask *ask = through == NULL ? NULL : ask_new_copy(through->asks, name, text, "blob", get_blob);
    if (ask == NULL) {
        return FETCH_ABSENT;
    }
    g_autoptr(Cold) comes = NULL;
    FetchOutcome outcome = ask_get_copy(ask, wait, NULL, &comes);
    if (outcome == FETCH_PENDING && cold_state(comes) == COLD_DONE) {
        return FETCH_DONE;
    }
    if (cold != NULL && outcome == FETCH_PENDING && cold_state(comes) != COLD_FAILED) {
        *cold = g_steal_pointer(&comes);
    }
    return outcome;
}

static gboolean is_here(const Through *through, const char *name, const OciDigest *named)
{
    IngotDigest digest;
    return storage_resolve(through->storage, named, &digest, NULL) && storage_is_whole(through->storage, name, &digest);
}

FetchOutcome through_blob(Through *through, const char *name, const OciDigest *named)
{
    return through != NULL && is_here(through, name, named) ? FETCH_DONE
                                                            : fetch_blob(through, name, named, LOOK_UP, NULL);
}

static gboolean get_size(const Ask *ask, Copy *copy, char **result, GError **error)
{
    guint64 size;
    if (!ingot_remote_blob_size(copy->remote, ask_there(ask), &ask->named.key, &size, error)) {
        return FALSE;
    }
    *result = g_strdup_printf("%" G_GUINT64_FORMAT, size);
    return TRUE;
}

FetchOutcome through_size(Through *through, const char *name, const OciDigest *named, guint64 *size)
{
    g_autofree char *text = oci_digest_to_text(named), *found = NULL;
    FetchOutcome outcome = ask_get(through_ask(through, name, text, "size of", get_size), LOOK_UP, &found);
    *size = found == NULL ? 0 : g_ascii_strtoull(found, NULL, 10);
    return outcome;
}

FetchOutcome through_open(Through *through, const char *name, const OciDigest *named, ColdReader **reader)
{
    guint64 size;
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
    Cold *cold = NULL;
    outcome = fetch_blob(through, name, named, size < SHORT ? SMALL : 0, &cold);
    if (cold != NULL) {
        Upstream *upstream = upstreams_find(asks_upstreams(through->asks), name);
        *reader = cold_reader_new(through->storage, upstream, name, named, size, cold);
        outcome = FETCH_DONE;
    }
    return outcome;
}

/* The blobs that the manifest needs, which all come at once; waits until then. */
static FetchOutcome fetch_blobs(Through *through, const char *name, const GArray *mentions, gint64 wait)
{
    FetchOutcome worst = FETCH_DONE;
    for (guint i = 0; i < mentions->len; i++) {
        const Mention *mention = &g_array_index(mentions, Mention, i);
        const OciDigest named = mention_named(mention);
        if (!mention->manifest && !is_here(through, name, &named)) {
            FetchOutcome outcome = fetch_blob(through, name, &named, wait, NULL);
            gboolean done = outcome == FETCH_DONE || (mention->elsewhere && outcome == FETCH_ABSENT);
            worst = done || (outcome == FETCH_ABSENT && through_is_open(worst)) ? worst : outcome;
        }
    }
    return worst;
}

FetchOutcome through_needs(Through *through, const char *name, const GArray *mentions, gboolean waits)
{
    if (through == NULL) {
        return FETCH_ABSENT;
    }
    FetchOutcome outcome = fetch_blobs(through, name, mentions, 0);
    return outcome == FETCH_PENDING && waits ? fetch_blobs(through, name, mentions, LOOK_UP) : outcome;
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

/* A channel that a pipeline of here guards is there once it was promoted here. */
static gboolean get_tags(const Ask *ask, Copy *copy, char **result, GError **error)
{
    char **tags = ingot_remote_list_tags(copy->remote, ask_there(ask), error);
    guint kept = 0;
    for (guint i = 0; tags != NULL && tags[i] != NULL; i++) {
        char *tag = g_steal_pointer(&tags[i]);
        if (storage_is_guarded(copy->storage, ask->name, tag)) {
            g_free(tag);
        } else {
            tags[kept++] = tag;
        }
    }
    return give_list(tags, result);
}

char **through_tags(Through *through, const char *name, char **ours, FetchOutcome *outcome)
{
    g_autofree char *text = NULL;
    Ask *ask = through_ask(through, name, NULL, "tags of", get_tags);
    *outcome = FETCH_ABSENT;
    if (ask == NULL) {
        return ours;
    }
    *outcome = ask_get(ask, ours != NULL && upstream_is_late(ask->upstream) ? MOMENT : SMALL, &text);
    return text == NULL ? ours : merge(ours, "", text, ingot_tag_check);
}

/* The digest that the URL of a box has: the part of its path behind the name. */
static void add_image_of(GString *text, const json_t *provider)
{
    IngotDigest digest;
    const char *url = json_string_value(json_object_get(provider, "url"));
    g_auto(GStrv) parts = g_strsplit(url == NULL ? "" : url, "/", -1);
    for (guint i = 0; parts[i] != NULL; i++) {
        if (ingot_digest_parse(parts[i], &digest, NULL)) {
            g_string_append_printf(text, " %s", parts[i]);
        }
    }
}

static void add_version(GString *text, const json_t *version)
{
    const char *tag = json_string_value(json_object_get(version, "version"));
    const json_t *providers = json_object_get(version, "providers");
    if (tag == NULL || !ingot_tag_check(tag, NULL)) {
        return;
    }
    g_string_append_printf(text, "%s%s", text->len == 0 ? "" : "\n", tag);
    for (size_t i = 0; i < json_array_size(providers); i++) {
        add_image_of(text, json_array_get(providers, i));
    }
}

/* The versions in Vagrant's catalogue there: no other list tells which ones a channel has named. */
static gboolean get_versions(const Ask *ask, Copy *copy, char **result, GError **error)
{
    g_autofree char *path = g_strdup_printf("/vagrant/%s@%s", ask_there(ask), ask->reference);
    g_autoptr(GBytes) bytes = ingot_remote_get_path(copy->remote, path, CATALOGUE_MAX, error);
    gsize room = CATALOGUE_VALUES;
    g_autoptr(json_t) root = bytes == NULL ? NULL
                                           : ingot_json_parse_within(g_bytes_get_data(bytes, NULL),
                                                                     g_bytes_get_size(bytes), path, &room, error);
    if (root == NULL) {
        return FALSE;
    }
    const json_t *versions = json_object_get(root, "versions");
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < json_array_size(versions); i++) {
        add_version(text, json_array_get(versions, i));
    }
    *result = g_string_free(text, FALSE);
    return TRUE;
}

char **through_channel(Through *through, const char *name, const char *channel, FetchOutcome *outcome)
{
    g_autofree char *text = NULL;
    Ask *ask = through_ask(through, name, channel, "versions of", get_versions);
    *outcome = FETCH_ABSENT;
    if (ask == NULL) {
        return NULL;
    }
    *outcome = ask_get(ask, upstream_is_late(ask->upstream) ? MOMENT : SMALL, &text);
    return text == NULL ? NULL : g_strsplit(text, "\n", -1);
}

static gboolean get_names(const Ask *ask, Copy *copy, char **result, GError **error)
{
    (void)ask;
    return give_list(ingot_remote_list_names(copy->remote, error), result);
}

char **through_names(Through *through, char **ours, FetchOutcome *outcome)
{
    *outcome = FETCH_DONE;
    for (guint i = 0; through != NULL && i < asks_upstreams(through->asks)->len; i++) {
        Upstream *upstream = g_ptr_array_index(asks_upstreams(through->asks), i);
        g_autofree char *text = NULL;
        FetchOutcome one = ask_get(ask_new_of(through->asks, upstream, "names below", get_names),
                                   upstream_is_late(upstream) ? MOMENT : SMALL, &text);
        *outcome = one == FETCH_DONE || through_is_open(*outcome) ? *outcome : one;
        ours = text == NULL ? ours : merge(ours, upstream_prefix(upstream), text, ingot_name_check);
    }
    return ours;
}
