/* Retention: which versions go by a policy. */
#include <ingot/error.h>
#include <ingot/reference.h>
#include <ingot/text.h>
#include <stdlib.h>
#include <string.h>

#include "server/storage/garbage.h"

static void keep_clear(gpointer data)
{
    g_free(((Keep *)data)->pattern);
}

GArray *keeps_new(void)
{
    GArray *keeps = g_array_new(FALSE, FALSE, sizeof(Keep));
    g_array_set_clear_func(keeps, keep_clear);
    return keeps;
}

gboolean keeps_add(GArray *keeps, const char *text, GError **error)
{
    const char *equals = strrchr(text, '=');
    g_auto(GStrv) parts = g_strsplit(equals == NULL ? "" : equals + 1, ",", 3);
    guint64 versions, seconds = 0;
    if (equals == NULL || equals == text || parts[0] == NULL || (parts[1] != NULL && parts[2] != NULL) ||
        !g_ascii_string_to_unsigned(parts[0], 10, 0, G_MAXUINT, &versions, NULL) ||
        (parts[1] != NULL && !ingot_text_parse_duration(parts[1], &seconds, NULL))) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: PATTERN=VERSIONS or PATTERN=VERSIONS,AGE is expected, as in team/*=10,30d", text);
        return FALSE;
    }
    Keep keep = {.pattern = g_strndup(text, (gsize)(equals - text)), .versions = (guint)versions, .seconds = seconds};
    g_array_append_val(keeps, keep);
    return TRUE;
}

static const Keep *find_keep(const GArray *keeps, const char *name)
{
    for (guint i = 0; i < keeps->len; i++) {
        const Keep *keep = &g_array_index(keeps, Keep, i);
        if (g_pattern_match_simple(keep->pattern, name)) {
            return keep;
        }
    }
    return NULL;
}

/* A version of a repository. */
typedef struct {
    char *tag;
    gint64 blob;
    IngotDigest digest;
} Version;

static void version_clear(gpointer data)
{
    g_free(((Version *)data)->tag);
}

static int newest_first(gconstpointer a, gconstpointer b)
{
    return ingot_tag_compare(((const Version *)b)->tag, ((const Version *)a)->tag);
}

static GArray *list_versions(Connection *connection, gint64 repository, GError **error)
{
    g_autoptr(GArray) versions = g_array_new(FALSE, FALSE, sizeof(Version));
    g_array_set_clear_func(versions, version_clear);
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection, "SELECT name, blob, digest FROM tags JOIN blobs ON blobs.id=blob WHERE repository=?",
                       "i", repository);
    while (database_step(rows, &problem)) {
        const char *tag = (const char *)sqlite3_column_text(rows, 0);
        Version version = {.blob = sqlite3_column_int64(rows, 1)};
        if (ingot_tag_is_version(tag) && database_digest(rows, 2, &version.digest)) {
            version.tag = g_strdup(tag);
            g_array_append_val(versions, version);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    g_array_sort(versions, newest_first);
    return g_steal_pointer(&versions);
}

/* Whether a channel names the manifest, or did within the time. */
static gboolean of_channel(Change *change, gint64 repository, const Version *version, guint64 seconds)
{
    gint64 found = 1;
    return !database_number(change->writer, &found, 0, NULL,
                            "SELECT EXISTS (SELECT 1 FROM tags WHERE repository=?1 AND blob=?2 AND name IN"
                            " ('dev', 'test', 'prod')) OR EXISTS (SELECT 1 FROM history WHERE repository=?1 AND"
                            " digest=?3 AND until>=?4 AND name IN ('dev', 'test', 'prod'))",
                            "iidi", repository, version->blob, &version->digest,
                            storage_now() - (gint64)MIN(seconds, (guint64)storage_now())) ||
           found != 0;
}

static gboolean is_needed(Change *change, gint64 repository, const Version *version, gboolean *needed, GError **error)
{
    gint64 found;
    gboolean ok = database_number(change->writer, &found, 0, error,
                                  "SELECT EXISTS (SELECT 1 FROM tags WHERE repository=?1 AND blob=?2) OR EXISTS (SELECT"
                                  " 1 FROM mentions WHERE digest=?3 AND repository=?1)",
                                  "iid", repository, version->blob, &version->digest);
    *needed = found != 0;
    return ok;
}

/* The ids of those whose subject the digest is. */
static GArray *list_referrers(Change *change, gint64 repository, const IngotDigest *subject)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(Version));
    g_autoptr(sqlite3_stmt) rows = database_query(
        change->writer,
        "SELECT blob, digest FROM manifests JOIN blobs ON blobs.id=blob WHERE repository=? AND subject=?", "id",
        repository, subject);
    while (database_step(rows, NULL)) {
        Version version = {.blob = sqlite3_column_int64(rows, 0)};
        if (database_digest(rows, 1, &version.digest)) {
            g_array_append_val(list, version);
        }
    }
    return list;
}

/* A manifest that nothing names any more goes, and with it what was attached to it. */
static gboolean drop_manifest(Collection *collection, const char *name, gint64 repository, const Version *version,
                              GError **error)
{
    gboolean needed;
    if (!is_needed(&collection->change, repository, version, &needed, error)) {
        return FALSE;
    }
    if (needed) {
        return TRUE;
    }
    g_autofree char *text = ingot_digest_to_text(&version->digest);
    collection_tell(collection, "manifest %s@%s", name, text);
    collection->report->manifests++;
    if (!names_remove(&collection->change, name, repository, version->blob, &version->digest, error)) {
        return FALSE;
    }
    g_autoptr(GArray) referrers = list_referrers(&collection->change, repository, &version->digest);
    for (guint i = 0; i < referrers->len; i++) {
        if (!drop_manifest(collection, name, repository, &g_array_index(referrers, Version, i), error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean drop_version(Collection *collection, const char *name, gint64 repository, const Version *version,
                             GError **error)
{
    collection_tell(collection, "tag %s:%s", name, version->tag);
    collection->report->tags++;
    return names_untag(&collection->change, name, repository, version->tag, error) &&
           drop_manifest(collection, name, repository, version, error);
}

static gboolean expire_repository(Collection *collection, const char *name, gint64 repository, const Keep *keep,
                                  GError **error)
{
    g_autoptr(GArray) versions = list_versions(collection->change.writer, repository, error);
    for (guint i = keep->versions; versions != NULL && i < versions->len; i++) {
        const Version *version = &g_array_index(versions, Version, i);
        if (!of_channel(&collection->change, repository, version, keep->seconds) &&
            !drop_version(collection, name, repository, version, error)) {
            return FALSE;
        }
    }
    return versions != NULL;
}

gboolean retention_apply(Collection *collection, GError **error)
{
    const GArray *keeps = collection->options->keeps;
    g_auto(GStrv) names =
        keeps == NULL || keeps->len == 0 ? g_new0(char *, 1) : storage_repositories(collection->change.storage, error);
    for (guint i = 0; names != NULL && names[i] != NULL; i++) {
        const Keep *keep = find_keep(keeps, names[i]);
        gint64 repository = keep == NULL ? 0 : names_repository(collection->change.writer, names[i], FALSE, error);
        if (repository < 0 || (repository > 0 && !expire_repository(collection, names[i], repository, keep, error))) {
            return FALSE;
        }
    }
    return names != NULL;
}
