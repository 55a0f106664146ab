/* approved: {count: n, not_promoter: true}. So many people with the right have approved this digest, none of whom has
 * pushed it. */
#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "server/channel/gatekinds.h"
#include "server/channel/gatesettings.h"
#include "server/storage/pushers.h"
#include "server/storage/records.h"

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

static gboolean approved_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    gboolean other = json_is_true(json_object_get(settings, "not_promoter"));
    guint wanted = settings_number(settings, "count"), pushed = 0;
    g_autofree char *digest = ingot_digest_to_text(&its->digest);
    g_autofree char *prefix = g_strdup_printf("%s %s ", its->channel, digest);
    g_auto(GStrv) pushers = storage_pushers(its->storage, its->name, &its->digest, error);
    g_autoptr(GPtrArray) records =
        pushers == NULL ? NULL : storage_records(its->storage, RECORD_APPROVAL, its->name, error);
    g_autoptr(GHashTable) people = g_hash_table_new(g_str_hash, g_str_equal);
    if (records == NULL) {
        return FALSE;
    }
    for (guint i = 0; i < records->len; i++) {
        const StorageRecord *record = g_ptr_array_index(records, i);
        if (!g_str_has_prefix(record->key, prefix) || record->by == NULL ||
            (other && g_strcmp0(record->by, its->caller) == 0)) {
            continue;
        }
        if (g_strv_contains((const char *const *)pushers, record->by)) {
            pushed++;
        } else {
            g_hash_table_add(people, record->by);
        }
    }
    guint got = g_hash_table_size(people);
    verdict->passed = got >= wanted;
    if (verdict->passed) {
        verdict->why = g_strdup_printf("it is approved by %u %s", got, got == 1 ? "person" : "people");
        return TRUE;
    }
    verdict->why = g_strdup_printf("%u of %u people that it needs have approved it%s", got, wanted,
                                   pushed > 0 ? "; whoever pushed it does not count" : "");
    verdict->mend = g_strdup_printf("have %u more with the right promote run `ingot approve HOST/%s %s %s`",
                                    wanted - got, its->name, its->channel, digest);
    return TRUE;
}

const Gate gate_approved = {"approved", approved_check, approved_judge};
