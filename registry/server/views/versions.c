#include "server/views/versions.h"

#include <ingot/reference.h>
#include <stdlib.h>
#include <string.h>

#include "server/storage/storage.h"
#include "vagrant/version.h"

static int newest_first(const void *a, const void *b)
{
    return ingot_tag_compare(*(char *const *)b, *(char *const *)a);
}

/* The digests that a channel names or named; NULL: there is no such channel here. */
static GHashTable *of_channel(const Server *server, const char *name, const char *channel, IngotDigest *current,
                              GError **error)
{
    if (!storage_find_tag(server->storage, name, channel, current, error)) {
        return NULL;
    }
    GHashTable *digests = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, NULL);
    g_hash_table_add(digests, g_memdup2(current, sizeof *current));
    storage_tag_history(server->storage, name, channel, digests);
    return digests;
}

static void version_clear(gpointer data)
{
    g_free(((ListedVersion *)data)->tag);
}

/* Those of the tags that Vagrant can read, newest first. ours: GArray of StorageVersion, what is here; NULL: nothing.
 */
static GArray *sort_versions(char **tags, const GArray *ours)
{
    GArray *versions = g_array_new(FALSE, FALSE, sizeof(ListedVersion));
    g_autoptr(GHashTable) here = g_hash_table_new(g_str_hash, g_str_equal);
    g_array_set_clear_func(versions, version_clear);
    for (guint i = 0; ours != NULL && i < ours->len; i++) {
        const StorageVersion *one = &g_array_index(ours, StorageVersion, i);
        g_hash_table_insert(here, one->tag, (gpointer)&one->digest);
    }
    qsort(tags, g_strv_length(tags), sizeof *tags, newest_first);
    for (guint i = 0; tags[i] != NULL; i++) {
        if (ingot_tag_is_version(tags[i]) && vagrant_version_is_readable(tags[i])) {
            const IngotDigest *digest = g_hash_table_lookup(here, tags[i]);
            ListedVersion version = {.tag = g_strdup(tags[i]), .is_here = digest != NULL};
            if (digest != NULL) {
                version.digest = *digest;
            }
            g_array_append_val(versions, version);
        }
    }
    return versions;
}

/* Drops the versions that the channel has not named, and those that are newer than the one that it names now. FALSE:
 * there is no such channel. */
static gboolean keep_of_channel(const Server *server, const char *name, const char *channel, GArray *versions,
                                GError **error)
{
    IngotDigest current;
    g_autoptr(GHashTable) digests = of_channel(server, name, channel, &current, error);
    gboolean reached = FALSE;
    guint kept = 0;
    for (guint i = 0; digests != NULL && i < versions->len; i++) {
        ListedVersion *to = &g_array_index(versions, ListedVersion, kept),
                      version = g_array_index(versions, ListedVersion, i);
        reached = reached || (version.is_here && ingot_digest_equal(&version.digest, &current));
        if (reached && version.is_here && g_hash_table_contains(digests, &version.digest)) {
            g_array_index(versions, ListedVersion, i) = *to;
            *to = version;
            kept++;
        }
    }
    g_array_set_size(versions, kept);
    return digests != NULL;
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

static char **tags_of(const GArray *versions)
{
    g_autoptr(GStrvBuilder) tags = g_strv_builder_new();
    for (guint i = 0; i < versions->len; i++) {
        g_strv_builder_add(tags, g_array_index(versions, StorageVersion, i).tag);
    }
    return g_strv_builder_end(tags);
}

GArray *versions_list(const Server *server, const char *name, const char *channel, FetchOutcome *outcome,
                      GError **error)
{
    GError *problem = NULL;
    g_auto(GStrv) of_there = channel == NULL ? NULL : ask_channel(server, name, channel, outcome);
    if (of_there != NULL) {
        return sort_versions(of_there, NULL);
    }
    g_autoptr(GArray) ours = storage_versions(server->storage, name, NULL, G_MAXUINT, &problem);
    char **own = ours == NULL ? NULL : tags_of(ours);
    g_auto(GStrv) tags = channel == NULL ? through_tags(server->through, name, own, outcome) : own;
    if (tags == NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    g_clear_error(&problem);
    g_autoptr(GArray) versions = sort_versions(tags, ours);
    return channel == NULL || keep_of_channel(server, name, channel, versions, error) ? g_steal_pointer(&versions)
                                                                                      : NULL;
}
