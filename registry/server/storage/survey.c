#include "server/storage/survey.h"

#include <ingot/error.h>

#include "server/storage/channels.h"
#include "server/storage/evict.h"
#include "server/storage/release.h"

/* NULL without an error: it is damaged, and nothing of it can be called garbage. */
static Picture *survey_repository(Collection *collection, Connection *reader, const HoldingRepository *repository,
                                  GError **error)
{
    GError *problem = NULL;
    Picture *picture = picture_new(reader, repository->id, repository->name, &problem);
    if (picture != NULL) {
        picture->pipeline = storage_pipeline(collection->storage, repository->name);
        eviction_mark(collection->evicted, picture);
        picture_judge(picture, collection->options);
    } else if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        collection_tell(collection, "%s: stays as it is: %s (see `ingotd scrub`)", repository->name, problem->message);
        g_error_free(problem);
    } else {
        g_propagate_error(error, problem);
    }
    return picture;
}

/* What goes of a repository, added to how often each blob goes. */
static void count_gone(const Picture *picture, GHashTable *times)
{
    for (guint i = 0; i < picture->items->len; i++) {
        const PictureItem *item = picture_item(picture, i);
        if (item->goes) {
            guint before = GPOINTER_TO_UINT(g_hash_table_lookup(times, &item->link->digest));
            g_hash_table_insert(times, g_memdup2(&item->link->digest, sizeof(IngotDigest)),
                                GUINT_TO_POINTER(before + 1));
        }
    }
}

gboolean survey_each(Collection *collection, Connection *reader, SurveyFunc function, gpointer user, GError **error)
{
    g_autoptr(GArray) repositories = holdings_repositories(reader, error);
    for (guint i = 0; repositories != NULL && i < repositories->len; i++) {
        GError *problem = NULL;
        const HoldingRepository *repository = &g_array_index(repositories, HoldingRepository, i);
        g_autoptr(Picture) picture = collection_goes_on(collection, &problem)
                                         ? survey_repository(collection, reader, repository, &problem)
                                         : NULL;
        if (problem != NULL) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        if (picture != NULL && !function(picture, user, error)) {
            return FALSE;
        }
    }
    return repositories != NULL;
}

typedef struct {
    Collection *collection;
    GHashTable *times; /* NULL, or receives what goes */
} Survey;

static void tell_blind(const Collection *collection, const Picture *picture)
{
    g_autofree char *text = picture->unread == NULL ? NULL : ingot_digest_to_text(picture->unread);
    g_autofree char *manifest =
        g_strdup_printf(text == NULL ? "a manifest is lost" : "the manifest %s can't be read", text);
    collection_tell(collection, "%s: nothing of it goes: %s, so nobody knows what it needs: push it again",
                    picture->name, manifest);
}

static gboolean survey_one(Picture *picture, gpointer user, GError **error)
{
    const Survey *survey = user;
    if (picture->blind) {
        tell_blind(survey->collection, picture);
    }
    if (!release_names(survey->collection, picture, error)) {
        return FALSE;
    }
    if (survey->times != NULL) {
        count_gone(picture, survey->times);
    }
    return TRUE;
}

static gboolean survey_all(Collection *collection, Connection *reader, GHashTable *times, GError **error)
{
    Survey survey = {.collection = collection, .times = times};
    return survey_each(collection, reader, survey_one, &survey, error);
}

gboolean survey_release(Collection *collection, GError **error)
{
    g_autoptr(Connection) reader = database_reader(collection->storage->catalogue, error);
    return reader != NULL && survey_all(collection, reader, NULL, error) && release_blobs(collection, reader, error);
}

/* Blobs that all who have them let go of. */
static gboolean keep_those_held(Connection *reader, GHashTable *times, GError **error)
{
    GHashTableIter iterator;
    gpointer digest, count;
    g_hash_table_iter_init(&iterator, times);
    while (g_hash_table_iter_next(&iterator, &digest, &count)) {
        gint64 holders;
        if (!holdings_holders(reader, digest, &holders, error)) {
            return FALSE;
        }
        if (holders > GPOINTER_TO_UINT(count)) {
            g_hash_table_iter_remove(&iterator);
        }
    }
    return TRUE;
}

GHashTable *survey_gone(Collection *collection, Connection *reader, GError **error)
{
    g_autoptr(GHashTable) times = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, NULL);
    g_autoptr(GArray) loose = NULL;
    if (!survey_all(collection, reader, times, error) || !keep_those_held(reader, times, error) ||
        (loose = holdings_loose(reader, error)) == NULL) {
        return NULL;
    }
    for (guint i = 0; i < loose->len; i++) {
        g_hash_table_add(times, g_memdup2(&g_array_index(loose, IngotDigest, i), sizeof(IngotDigest)));
    }
    collection->report->blobs = g_hash_table_size(times);
    return g_steal_pointer(&times);
}
