#include "server/views/versions.h"

#include <ingot/reference.h>
#include <stdlib.h>
#include <string.h>

#include "server/storage/storage.h"

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

/* Whether Vagrant can read the version (Ruby's Gem::Version): one that it can't would spoil the whole list for it.
 * Behind the numbers it takes words of letters, digits and dashes, with single dots between them. */
static gboolean is_readable(const char *version)
{
    const char *dash = strchr(version, '-');
    g_auto(GStrv) words = g_strsplit(dash == NULL ? "x" : dash + 1, ".", -1);
    for (guint i = 0; words[i] != NULL; i++) {
        if (*words[i] == '\0' || words[i][strspn(words[i], G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-")] != '\0') {
            return FALSE;
        }
    }
    return words[0] != NULL;
}

/* Those that Vagrant can read, newest first. */
static GPtrArray *sort_versions(char **tags)
{
    GPtrArray *versions = g_ptr_array_new_with_free_func(g_free);
    qsort(tags, g_strv_length(tags), sizeof *tags, newest_first);
    for (guint i = 0; tags[i] != NULL; i++) {
        if (ingot_tag_is_version(tags[i]) && is_readable(tags[i])) {
            g_ptr_array_add(versions, g_strdup(tags[i]));
        }
    }
    return versions;
}

/* Of the versions that are here, those that the channel named, from the one that it names now on. */
static GPtrArray *keep_of_channel(const Server *server, const char *name, const char *channel, GPtrArray *all,
                                  GError **error)
{
    IngotDigest current, digest;
    g_autoptr(GPtrArray) versions = all;
    g_autoptr(GHashTable) digests = of_channel(server, name, channel, &current, error);
    if (digests == NULL) {
        return NULL;
    }
    GPtrArray *kept = g_ptr_array_new_with_free_func(g_free);
    gboolean reached = FALSE;
    for (guint i = 0; i < versions->len; i++) {
        const char *version = g_ptr_array_index(versions, i);
        if (storage_find_tag(server->storage, name, version, &digest, NULL)) {
            reached = reached || ingot_digest_equal(&digest, &current);
            if (reached && g_hash_table_contains(digests, &digest)) {
                g_ptr_array_add(kept, g_strdup(version));
            }
        }
    }
    return kept;
}

/* What the upstream says of a channel; NULL: nothing. One that was pushed here is ours, whatever the upstream calls by
 * its name. */
static char **ask_channel(const Server *server, const char *name, const char *channel, FetchOutcome *outcome)
{
    *outcome = through_manifest(server->through, name, channel); /* so that it is known without the upstream too */
    if (storage_is_pushed(server->storage, name, channel)) {
        *outcome = FETCH_ABSENT;
        return NULL;
    }
    FetchOutcome named = *outcome;
    char **versions = through_channel(server->through, name, channel, outcome);
    *outcome = *outcome == FETCH_ABSENT && through_is_open(named) ? named : *outcome;
    return versions;
}

GPtrArray *versions_list(const Server *server, const char *name, const char *channel, FetchOutcome *outcome,
                         GError **error)
{
    GError *problem = NULL;
    g_auto(GStrv) of_there = channel == NULL ? NULL : ask_channel(server, name, channel, outcome);
    if (of_there != NULL) {
        return sort_versions(of_there);
    }
    char **ours = storage_tags(server->storage, name, &problem);
    g_auto(GStrv) tags = channel == NULL ? through_tags(server->through, name, ours, outcome) : ours;
    if (tags == NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    g_clear_error(&problem);
    GPtrArray *all = sort_versions(tags);
    return channel == NULL ? all : keep_of_channel(server, name, channel, all, error);
}
