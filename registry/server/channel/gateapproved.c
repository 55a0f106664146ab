/* approved: {count: n, not_promoter: true}. So many people, who have the right promote today, have approved this
 * digest, none of whom has pushed it, nor, of an index, an image that it names. */
#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "server/auth/scopes.h"
#include "server/auth/users.h"
#include "server/channel/gatekinds.h"
#include "server/channel/gatesettings.h"
#include "server/storage/pushers.h"
#include "server/storage/records.h"
#include "server/storage/several.h"

#define PEOPLE_MOST 100u

static gboolean approved_check(const json_t *settings, GString *path, GError **error)
{
    static const char *const names[] = {"count", "not_promoter", NULL};
    const json_t *other = json_object_get(settings, "not_promoter");
    return settings_map(settings, names, NULL, path, error) &&
           settings_count(settings, "count", PEOPLE_MOST, path, error) &&
           (other == NULL || json_is_boolean(other) ||
            settings_wrong(path, "not_promoter", error, "true or false is expected"));
}

/* Whose approvals count, and how many of others there are. */
typedef struct {
    GHashTable *people; /* names, of the records */
    guint pushed, former;
} Approvals;

/* Whether it is the user who approved: a name that was given anew since is another one's. What was recorded by an older
 * server says by its time alone who that was. */
static gboolean is_same(const User *user, const StorageRecord *record)
{
    const json_t *created = json_object_get(record->body, APPROVAL_USER);
    return created != NULL ? json_integer_value(created) == user->created : user->created <= record->at;
}

/* *is: whoever approved is still the user that it was, and has the right. */
static gboolean is_promoter(const GateCase *its, const StorageRecord *record, gboolean *is, GError **error)
{
    GError *problem = NULL;
    g_autoptr(User) user = its->accounts == NULL ? NULL : users_find(its->accounts, record->by, &problem);
    *is = user != NULL && is_same(user, record) &&
          (scopes_rights((const char *const *)user->scopes, its->name) & ACCESS_PROMOTE) != 0;
    if (problem != NULL && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    return TRUE;
}

static gboolean approvals_note(Approvals *approvals, const GateCase *its, const char *const *pushers,
                               const StorageRecord *record, GError **error)
{
    gboolean counts;
    if (!is_promoter(its, record, &counts, error)) {
        return FALSE;
    }
    if (g_strv_contains(pushers, record->by)) {
        approvals->pushed++;
    } else if (!counts) {
        approvals->former++;
    } else {
        g_hash_table_add(approvals->people, record->by);
    }
    return TRUE;
}

/* Who has pushed it, or what it names as an index: names, to be freed. */
static char **find_pushers(const GateCase *its, GError **error)
{
    g_autoptr(GStrvBuilder) all = g_strv_builder_new();
    g_autoptr(GArray) images = storage_several(its->storage, its->name, &its->digest, error);
    if (images == NULL) {
        return NULL;
    }
    g_array_append_val(images, its->digest);
    for (guint i = 0; i < images->len; i++) {
        g_auto(GStrv) some = storage_pushers(its->storage, its->name, &g_array_index(images, IngotDigest, i), error);
        if (some == NULL) {
            return NULL;
        }
        g_strv_builder_addv(all, (const char **)some);
    }
    return g_strv_builder_end(all);
}

/* records: all approvals of the name, which the people belong to. */
static gboolean approvals_read(const GateCase *its, const json_t *settings, const GPtrArray *records,
                               Approvals *approvals, GError **error)
{
    gboolean other = json_is_true(json_object_get(settings, "not_promoter"));
    g_autofree char *digest = ingot_digest_to_text(&its->digest);
    g_autofree char *prefix = g_strdup_printf("%s %s ", its->channel, digest);
    g_auto(GStrv) pushers = find_pushers(its, error);
    gboolean ok = pushers != NULL;
    for (guint i = 0; ok && i < records->len; i++) {
        const StorageRecord *record = g_ptr_array_index(records, i);
        gboolean passed_over = !g_str_has_prefix(record->key, prefix) || record->by == NULL ||
                               (other && g_strcmp0(record->by, its->caller) == 0);
        ok = passed_over || approvals_note(approvals, its, (const char *const *)pushers, record, error);
    }
    return ok;
}

static void approvals_refuse(const GateCase *its, const Approvals *approvals, guint wanted, GateVerdict *verdict)
{
    guint got = g_hash_table_size(approvals->people);
    g_autofree char *digest = ingot_digest_to_text(&its->digest);
    verdict->why = g_strdup_printf(
        "%u of %u people that it needs have approved it%s%s", got, wanted,
        approvals->pushed > 0 ? "; whoever pushed it does not count" : "",
        approvals->former > 0 ? "; whoever is no user with the right promote any more does not count" : "");
    verdict->mend = g_strdup_printf("have %u more with the right promote run `ingot approve HOST/%s %s %s`",
                                    wanted - got, its->name, its->channel, digest);
}

static gboolean approved_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    guint wanted = settings_number(settings, "count");
    g_autoptr(GHashTable) people = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) records = storage_records(its->storage, RECORD_APPROVAL, its->name, error);
    Approvals approvals = {.people = people};
    if (records == NULL || !approvals_read(its, settings, records, &approvals, error)) {
        return FALSE;
    }
    guint got = g_hash_table_size(people);
    verdict->passed = got >= wanted;
    if (verdict->passed) {
        verdict->why = g_strdup_printf("it is approved by %u %s", got, got == 1 ? "person" : "people");
    } else {
        approvals_refuse(its, &approvals, wanted, verdict);
    }
    return TRUE;
}

const Gate gate_approved = {"approved", approved_check, approved_judge};
