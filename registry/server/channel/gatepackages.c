/* packages: {deny: ["openssl<3.0.17", "telnetd"], keys: [PEM…]}. No package of the image is on the list. */
#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "evidence/packages.h"
#include "server/channel/gateevidence.h"
#include "server/channel/gatekinds.h"
#include "server/channel/gatesettings.h"
#include "server/channel/packagerule.h"

#define TOLD_MOST 5u

static gboolean packages_check(const json_t *settings, GString *path, GError **error)
{
    static const char *const names[] = {"deny", "keys", NULL};
    const json_t *deny = json_object_get(settings, "deny");
    if (!settings_map(settings, names, "deny", path, error) || !settings_texts(settings, "deny", path, error) ||
        !settings_keys(settings, "keys", path, error)) {
        return FALSE;
    }
    for (size_t i = 0; i < json_array_size(deny); i++) {
        g_auto(PackageRule) rule = {0};
        const char *text = json_string_value(json_array_get(deny, i));
        if (!package_rule_parse(text, &rule)) {
            g_autofree char *place = g_strdup_printf("deny/%zu", i);
            return settings_wrong(path, place, error, "'%s' is neither a package nor NAME<VERSION (<, <=, =, >=, >)",
                                  text);
        }
    }
    return TRUE;
}

/* Adds what is on the list to found. */
static void find_denied(const GPtrArray *packages, const PackageRule *rule, GPtrArray *found)
{
    for (guint i = 0; i < packages->len; i++) {
        const Package *package = g_ptr_array_index(packages, i);
        PackageMatch match = strcmp(package->name, rule->name) == 0
                                 ? package_rule_fits(rule, package->version, package->type)
                                 : PACKAGE_PASSES;
        if (match != PACKAGE_PASSES) {
            g_ptr_array_add(found, g_strdup_printf("%s %s%s", package->name, package->version,
                                                   match == PACKAGE_UNKNOWN ? ", which can't be compared" : ""));
        }
    }
}

/* NULL: it can't be read. */
static GPtrArray *read_packages(const Evidence *one)
{
    g_autofree char *text =
        one->document != NULL
            ? NULL
            : ingot_json_canonical(one->statement->predicate == NULL ? json_null() : one->statement->predicate);
    gsize size = text == NULL ? 0 : strlen(text);
    const void *bytes = text == NULL ? g_bytes_get_data(one->document, &size) : text;
    return packages_parse(bytes, size, NULL);
}

/* A document that lists nothing is no proof of anything. */
static void judge_list(const EvidenceList *list, const json_t *deny, GPtrArray *found, guint *documents)
{
    for (guint i = 0; i < list->found->len; i++) {
        g_autoptr(GPtrArray) packages = read_packages(g_ptr_array_index(list->found, i));
        *documents += packages != NULL && packages->len > 0 ? 1 : 0;
        for (size_t k = 0; packages != NULL && k < json_array_size(deny); k++) {
            g_auto(PackageRule) rule = {0};
            const char *text = json_string_value(json_array_get(deny, k));
            if (text != NULL && package_rule_parse(text, &rule)) {
                find_denied(packages, &rule, found);
            }
        }
    }
}

static gboolean packages_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    g_auto(EvidenceList) list = {0};
    guint documents = 0;
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) keys = settings_read_keys(settings, "keys");
    if (!evidence_statements(its, EVIDENCE_PACKAGES, keys, &list, error) ||
        (keys == NULL && !evidence_packages(its, &list, error))) {
        return FALSE;
    }
    judge_list(&list, json_object_get(settings, "deny"), found, &documents);
    if (documents == 0) {
        g_autofree char *refusals = evidence_refusals(&list);
        verdict->why = g_strdup_printf("no list of its packages counts%s", refusals);
        verdict->mend = g_strdup("bake it with `ingot build`, which attaches the list, or attach one (SPDX 2.3)");
        return TRUE;
    }
    verdict->passed = found->len == 0;
    if (verdict->passed) {
        verdict->why = g_strdup("no package of it is denied");
        return TRUE;
    }
    guint count = found->len;
    g_ptr_array_set_size(found, (gint)MIN(count, TOLD_MOST));
    g_ptr_array_add(found, NULL);
    g_autofree char *text = g_strjoinv(", ", (char **)found->pdata);
    verdict->why = g_strdup_printf("it has %s%s", text, count > TOLD_MOST ? ", and more" : "");
    verdict->mend = g_strdup("bake it anew with newer packages, or without these");
    return TRUE;
}

const Gate gate_packages = {"packages", packages_check, packages_judge};
