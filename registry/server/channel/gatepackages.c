/* packages: {deny: ["openssl<3.0.17", "telnetd"], keys: [PEM…]}. No package of the image is on the list. */
#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "evidence/packages.h"
#include "server/channel/gateevidence.h"
#include "server/channel/gatekinds.h"
#include "server/channel/gatesettings.h"
#include "server/channel/packagerule.h"

#define TOLD_MOST 5u
#define VERSION_TOLD 100u /* bytes */

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

/* A rule of the gate, and what the lists of an image have of it. */
typedef struct {
    const char *text; /* belongs to the settings */
    PackageRule rule;
} Denial;

typedef struct {
    GArray *denials; /* of Denial */
    guint documents; /* that list anything: one that doesn't proves nothing */
    guint denied;    /* packages */
    GString *told;   /* the first of them */
} Packages;

static void denial_clear(gpointer data)
{
    package_rule_clear(&((Denial *)data)->rule);
}

static void packages_clear(Packages *packages)
{
    g_array_unref(packages->denials);
    g_string_free(packages->told, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Packages, packages_clear)

/* FALSE: a rule of these can't be read. */
static gboolean packages_begin(Packages *packages, const json_t *deny, GError **error)
{
    *packages = (Packages){.denials = g_array_new(FALSE, FALSE, sizeof(Denial)), .told = g_string_new(NULL)};
    g_array_set_clear_func(packages->denials, denial_clear);
    for (size_t i = 0; i < json_array_size(deny); i++) {
        Denial denial = {.text = json_string_value(json_array_get(deny, i))};
        if (denial.text == NULL || !package_rule_parse(denial.text, &denial.rule)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "this server can't read its rule '%s'",
                        denial.text == NULL ? "" : denial.text);
            return FALSE;
        }
        g_array_append_val(packages->denials, denial);
    }
    return TRUE;
}

/* "openssl 3.0.16 (openssl<3.0.17)" */
static void tell_denied(Packages *packages, const Package *package, const Denial *denial, gboolean comparable)
{
    if (packages->denied < TOLD_MOST) {
        g_autofree char *head = ingot_text_head(package->version == NULL ? "" : package->version, VERSION_TOLD);
        g_string_append_printf(packages->told, "%s%s%s%s", packages->denied == 0 ? "" : ", ", package->name,
                               *head == '\0' ? "" : " ", head);
        if (denial->rule.version != NULL) {
            g_string_append_printf(packages->told, "%s(%s)",
                                   comparable                 ? " "
                                   : package->version == NULL ? " of an unknown version "
                                                              : ", which can't be compared ",
                                   denial->text);
        }
    }
    packages->denied++;
}

static void find_denied(Packages *packages, const Package *package)
{
    for (guint i = 0; i < packages->denials->len; i++) {
        const Denial *denial = &g_array_index(packages->denials, Denial, i);
        PackageMatch match = strcmp(package->name, denial->rule.name) == 0
                                 ? package_rule_fits(&denial->rule, package->version, package->type)
                                 : PACKAGE_PASSES;
        if (match != PACKAGE_PASSES) {
            tell_denied(packages, package, denial, match == PACKAGE_IS_MEANT);
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

static void note_list(const Evidence *one, gpointer user)
{
    Packages *packages = user;
    g_autoptr(GPtrArray) list = read_packages(one);
    for (guint i = 0; list != NULL && i < list->len; i++) {
        find_denied(packages, g_ptr_array_index(list, i));
    }
    packages->documents += list != NULL && list->len > 0 ? 1 : 0;
}

static void judge_lists(const GateCase *its, const Packages *packages, const char *refusals, gboolean by_keys,
                        GateVerdict *verdict)
{
    if (packages->documents == 0) {
        verdict->why = g_strdup_printf("no list of its packages counts%s", refusals);
        verdict->mend = by_keys ? evidence_sign(its, "package list")
                                : g_strdup("bake it with `ingot build`, which attaches the list, or attach one (SPDX"
                                           " 2.3)");
    } else if (packages->denied > 0) {
        g_autofree char *more = packages->denied > TOLD_MOST
                                    ? g_strdup_printf(", and %u more that are denied", packages->denied - TOLD_MOST)
                                    : g_strdup("");
        verdict->why = g_strdup_printf("it has %s%s", packages->told->str, more);
        verdict->mend = g_strdup("bake an image with newer packages, or without these, and promote that");
    } else {
        verdict->passed = TRUE;
        verdict->why = g_strdup("it has no package that is denied");
    }
}

static gboolean packages_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    g_auto(EvidenceReading) reading = {0};
    g_auto(Packages) packages;
    g_autoptr(GPtrArray) keys = settings_read_keys(settings, "keys");
    if (!packages_begin(&packages, json_object_get(settings, "deny"), error) ||
        !evidence_statements(its, EVIDENCE_PACKAGES, keys, &reading, note_list, &packages, error) ||
        (keys == NULL && !evidence_packages(its, &reading, note_list, &packages, error))) {
        return FALSE;
    }
    g_autofree char *refusals = evidence_refusals(&reading);
    judge_lists(its, &packages, refusals, keys != NULL, verdict);
    return TRUE;
}

const Gate gate_packages = {"packages", packages_check, packages_judge};
