#include "server/boxes/versions.h"

#include <ingot/manifest.h>
#include <ingot/reference.h>
#include <string.h>

#include "server/http/log.h"
#include "server/storage/channels.h"
#include "server/storage/storage.h"
#include "server/views/entries.h"
#include "vagrant/version.h"

#define TOLD_MAX 4096u /* versions that are known to be named in the log */

static int newest_first(const void *a, const void *b)
{
    const ListedVersion *one = a, *two = b;
    int order = vagrant_version_compare(two->tag, one->tag);
    return order != 0 ? order : strcmp(two->tag, one->tag);
}

/* Vagrant leaves a whole catalogue where it can't read one version of it, so that is named once, and left out. */
static void tell_unreadable(const char *name, const char *tag)
{
    static GMutex lock;
    static GHashTable *told;
    char *what = g_strconcat(name, ":", tag, NULL);
    g_mutex_lock(&lock);
    if (told == NULL) {
        told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    }
    if (g_hash_table_size(told) >= TOLD_MAX) {
        g_hash_table_remove_all(told);
    }
    gboolean is_new = !g_hash_table_contains(told, what);
    if (is_new) {
        log_warning("%s: left out of the catalogue, since Vagrant can't read such a version", what);
    }
    g_hash_table_add(told, what);
    g_mutex_unlock(&lock);
}

/* Whether something is recorded of the tag as of a version; a pipeline may have made a channel of it since. */
static gboolean is_further(const Server *server, const char *name, const char *tag, GHashTable *further)
{
    return further != NULL && g_hash_table_contains(further, tag) && !storage_is_channel(server->storage, name, tag);
}

static gboolean is_listed(const Server *server, const char *name, const char *tag, GHashTable *further)
{
    if (!ingot_tag_is_version(tag) && !is_further(server, name, tag, further)) {
        return FALSE;
    }
    if (!vagrant_version_is_readable(tag)) {
        tell_unreadable(name, tag);
        return FALSE;
    }
    return TRUE;
}

static GHashTable *digests_new(void)
{
    return g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, NULL);
}

/* The digests that a channel names or named; NULL: there is no such channel here. */
static GHashTable *of_channel(const Server *server, const char *name, const char *channel, IngotDigest *current,
                              GError **error)
{
    if (!storage_find_tag(server->storage, name, channel, current, error)) {
        return NULL;
    }
    GHashTable *digests = digests_new();
    g_hash_table_add(digests, g_memdup2(current, sizeof *current));
    storage_tag_history(server->storage, name, channel, digests);
    return digests;
}

static void version_clear(gpointer data)
{
    ListedVersion *version = data;
    g_free(version->tag);
    g_clear_pointer(&version->images, g_hash_table_unref);
}

/* Those of the tags that Vagrant can read, newest first. ours: GArray of StorageVersion, what is here; NULL: nothing.
 */
static GArray *sort_versions(const Server *server, const char *name, char **tags, const GArray *ours,
                             GHashTable *further)
{
    GArray *versions = g_array_new(FALSE, FALSE, sizeof(ListedVersion));
    g_autoptr(GHashTable) here = g_hash_table_new(g_str_hash, g_str_equal);
    g_array_set_clear_func(versions, version_clear);
    for (guint i = 0; ours != NULL && i < ours->len; i++) {
        const StorageVersion *one = &g_array_index(ours, StorageVersion, i);
        g_hash_table_insert(here, one->tag, (gpointer)one);
    }
    for (guint i = 0; tags[i] != NULL; i++) {
        if (is_listed(server, name, tags[i], further)) {
            const StorageVersion *one = g_hash_table_lookup(here, tags[i]);
            ListedVersion version = {.tag = g_strdup(tags[i]), .is_here = one != NULL};
            if (one != NULL) {
                version.digest = one->digest;
                version.made = one->made;
                version.is_image = strcmp(one->type, INGOT_TYPE_MANIFEST) == 0;
            }
            g_array_append_val(versions, version);
        }
    }
    g_array_sort(versions, newest_first);
    return versions;
}

/* What a channel names or named. A version's index may have got further images since, and none of those that it had was
 * changed: so what counts is an image of it, and only those that the channel has named. */
typedef struct {
    GHashTable *current; /* what it names now, and the images of that */
    GHashTable *named;   /* the same of all that it named */
} Channel;

static void channel_clear(Channel *channel)
{
    g_clear_pointer(&channel->current, g_hash_table_unref);
    g_clear_pointer(&channel->named, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Channel, channel_clear)

static void add_images(const Server *server, const char *name, const IngotDigest *digest, GHashTable *digests)
{
    g_autoptr(GArray) entries = view_entries(server->storage, name, digest);
    for (guint i = 0; i < entries->len; i++) {
        g_hash_table_add(digests, g_memdup2(&g_array_index(entries, IngotDigest, i), sizeof(IngotDigest)));
    }
}

/* Copies: an equal one that is added takes a key's place. */
static GArray *digests_of(GHashTable *table)
{
    GArray *digests = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    GHashTableIter iter;
    gpointer digest;
    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &digest, NULL)) {
        g_array_append_vals(digests, digest, 1);
    }
    return digests;
}

/* FALSE: there is no such channel. */
static gboolean channel_read(const Server *server, const char *name, const char *tag, gboolean indexes,
                             Channel *channel, GError **error)
{
    IngotDigest current;
    channel->named = of_channel(server, name, tag, &current, error);
    if (channel->named == NULL) {
        return FALSE;
    }
    channel->current = digests_new();
    g_hash_table_add(channel->current, g_memdup2(&current, sizeof current));
    if (indexes) {
        g_autoptr(GArray) all = digests_of(channel->named);
        add_images(server, name, &current, channel->current);
        for (guint i = 0; i < all->len; i++) {
            add_images(server, name, &g_array_index(all, IngotDigest, i), channel->named);
        }
    }
    return TRUE;
}

static gboolean has_one(const Server *server, const char *name, const ListedVersion *version, GHashTable *digests)
{
    if (!version->is_here || version->is_image || g_hash_table_contains(digests, &version->digest)) {
        return version->is_here && g_hash_table_contains(digests, &version->digest);
    }
    g_autoptr(GArray) entries = view_entries(server->storage, name, &version->digest);
    gboolean found = FALSE;
    for (guint i = 0; !found && i < entries->len; i++) {
        found = g_hash_table_contains(digests, &g_array_index(entries, IngotDigest, i));
    }
    return found;
}

static gboolean has_index(const GArray *versions)
{
    for (guint i = 0; i < versions->len; i++) {
        const ListedVersion *version = &g_array_index(versions, ListedVersion, i);
        if (version->is_here && !version->is_image) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Drops the versions that the channel has not named, and those that are newer than the one that it names now, of which
 * what it named before does not count. FALSE: there is no such channel. */
static gboolean keep_of_channel(const Server *server, const char *name, const char *tag, GArray *versions,
                                GError **error)
{
    g_auto(Channel) channel = {0};
    gboolean reached = FALSE;
    guint kept = 0;
    if (!channel_read(server, name, tag, has_index(versions), &channel, error)) {
        return FALSE;
    }
    for (guint i = 0; i < versions->len; i++) {
        ListedVersion *to = &g_array_index(versions, ListedVersion, kept),
                      version = g_array_index(versions, ListedVersion, i);
        reached = reached || has_one(server, name, &version, channel.current);
        if (reached && has_one(server, name, &version, channel.named)) {
            g_array_index(versions, ListedVersion, i) = *to;
            *to = version;
            to->images = g_hash_table_ref(kept == 0 ? channel.current : channel.named);
            kept++;
        }
    }
    g_array_set_size(versions, kept);
    return TRUE;
}

/* What the upstream says of a channel that is not ours; NULL: nothing. */
static char **ask_channel(const Server *server, const char *name, const char *channel, FetchOutcome *outcome)
{
    *outcome = through_manifest(server->through, name, channel); /* so that it is known without the upstream too */
    if (through_is_ours(server->storage, name, channel)) {
        *outcome = FETCH_ABSENT;
        return NULL;
    }
    FetchOutcome named = *outcome;
    char **versions = through_channel(server->through, name, channel, outcome);
    *outcome = *outcome == FETCH_ABSENT && through_is_open(named) ? named : *outcome;
    return versions;
}

/* The digests behind the tag of such a line, of which the tag is left. */
static GHashTable *cut_images(char *line)
{
    IngotDigest digest;
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    GHashTable *images = digests_new();
    for (guint i = 1; words[0] != NULL && words[i] != NULL; i++) {
        if (ingot_digest_parse(words[i], &digest, NULL)) {
            g_hash_table_add(images, g_memdup2(&digest, sizeof digest));
        }
    }
    line[strcspn(line, " ")] = '\0';
    return images;
}

/* versions: as through_channel tells them. */
static GArray *list_of_there(const Server *server, const char *name, char **versions, GHashTable *further)
{
    g_autoptr(GHashTable) images =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_hash_table_unref);
    for (guint i = 0; versions[i] != NULL; i++) {
        g_hash_table_replace(images, versions[i], cut_images(versions[i]));
    }
    GArray *list = sort_versions(server, name, versions, NULL, further);
    for (guint i = 0; i < list->len; i++) {
        ListedVersion *version = &g_array_index(list, ListedVersion, i);
        version->images = g_hash_table_ref(g_hash_table_lookup(images, version->tag));
    }
    return list;
}

static char **tags_of(const GArray *versions)
{
    g_autoptr(GStrvBuilder) tags = g_strv_builder_new();
    for (guint i = 0; i < versions->len; i++) {
        g_strv_builder_add(tags, g_array_index(versions, StorageVersion, i).tag);
    }
    return g_strv_builder_end(tags);
}

GArray *versions_list(const Server *server, const char *name, const char *channel, GHashTable *further,
                      FetchOutcome *outcome, GError **error)
{
    GError *problem = NULL;
    g_auto(GStrv) of_there = channel == NULL ? NULL : ask_channel(server, name, channel, outcome);
    if (of_there != NULL) {
        return list_of_there(server, name, of_there, further);
    }
    g_autoptr(GArray) ours = storage_versions(server->storage, name, NULL, G_MAXUINT, &problem);
    char **own = ours == NULL ? NULL : tags_of(ours);
    g_auto(GStrv) tags = channel == NULL ? through_tags(server->through, name, own, outcome) : own;
    if (tags == NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    g_clear_error(&problem);
    g_autoptr(GArray) versions = sort_versions(server, name, tags, ours, further);
    return channel == NULL || keep_of_channel(server, name, channel, versions, error) ? g_steal_pointer(&versions)
                                                                                      : NULL;
}
