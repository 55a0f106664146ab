#include "seal/seal.h"

#include "seal/keyline.h"
#include "seal/rules.h"
#include "system/firstboot.h"
#include "system/tree.h"

void seal_report_clear(SealReport *report)
{
    g_clear_pointer(&report->os, json_decref);
    g_clear_pointer(&report->packages, json_decref);
    g_clear_pointer(&report->unmatched, g_ptr_array_unref);
    g_clear_pointer(&report->notes, g_ptr_array_unref);
}

/* What is to be done, known whole before anything is: paths, and the lists of files that are to be installed. */
typedef struct {
    GPtrArray *remove, *empty, *unmatched;
    GPtrArray *remake; /* of const FirstBootFile *, each once */
} SealPlan;

static void seal_plan_clear(SealPlan *plan)
{
    g_clear_pointer(&plan->remove, g_ptr_array_unref);
    g_clear_pointer(&plan->empty, g_ptr_array_unref);
    g_clear_pointer(&plan->unmatched, g_ptr_array_unref);
    g_clear_pointer(&plan->remake, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SealPlan, seal_plan_clear)

/* Adds what the pattern matches; *count: how many paths. */
static gboolean seal_add_matches(SystemTree *tree, const char *pattern, GPtrArray *paths, guint *count, GError **error)
{
    GPtrArray *found = system_tree_match(tree, pattern, error);
    if (found == NULL) {
        return FALSE;
    }
    *count = found->len;
    g_ptr_array_extend_and_steal(paths, found);
    return TRUE;
}

static gboolean seal_add_all(SystemTree *tree, const char *const *patterns, GPtrArray *paths, guint *total,
                             GError **error)
{
    guint count = 0;
    for (; patterns != NULL && *patterns != NULL; patterns++, *total += count) {
        if (!seal_add_matches(tree, *patterns, paths, &count, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* *applies: what the row needs is there, its condition is met, and there is systemd where a unit has to make it again.
 */
static gboolean seal_rule_applies(SystemTree *tree, const SealRule *rule, gboolean *applies, GError **error)
{
    g_autoptr(GPtrArray) needed = g_ptr_array_new_with_free_func(g_free);
    guint count = 0;
    *applies = TRUE;
    if (rule->needs != NULL) {
        if (!seal_add_matches(tree, rule->needs, needed, &count, error)) {
            return FALSE;
        }
        *applies = count > 0;
    }
    if (*applies && rule->applies != NULL && !rule->applies(tree, applies, error)) {
        return FALSE;
    }
    return !*applies || rule->remake == NULL || system_tree_exists(tree, "/etc/systemd/system", applies, error);
}

static gboolean seal_plan_rule(SystemTree *tree, const SealRule *rule, SealPlan *plan, GError **error)
{
    gboolean applies;
    guint removed = 0, emptied = 0;
    if (!seal_rule_applies(tree, rule, &applies, error)) {
        return FALSE;
    }
    if (!applies) {
        return TRUE;
    }
    if (!seal_add_all(tree, rule->remove, plan->remove, &removed, error) ||
        !seal_add_all(tree, rule->truncate, plan->empty, &emptied, error)) {
        return FALSE;
    }
    if (removed > 0 && rule->remake != NULL && !g_ptr_array_find(plan->remake, rule->remake, NULL)) {
        g_ptr_array_add(plan->remake, (gpointer)rule->remake);
    }
    return TRUE;
}

static gboolean seal_plan_make(SystemTree *tree, const json_t *rules, SealPlan *plan, GError **error)
{
    const json_t *keep = json_object_get(rules, "keep");
    const json_t *more = json_object_get(rules, "remove");
    *plan = (SealPlan){
        .remove = g_ptr_array_new_with_free_func(g_free),
        .empty = g_ptr_array_new_with_free_func(g_free),
        .unmatched = g_ptr_array_new_with_free_func(g_free),
        .remake = g_ptr_array_new(),
    };
    for (const SealRule *rule = seal_rules; rule->word != NULL; rule++) {
        if (!ingot_json_has_text(keep, rule->word) && !seal_plan_rule(tree, rule, plan, error)) {
            return FALSE;
        }
    }
    for (size_t i = 0; i < json_array_size(more); i++) {
        const char *pattern = json_string_value(json_array_get(more, i));
        guint count;
        if (!seal_add_matches(tree, pattern, plan->remove, &count, error)) {
            return FALSE;
        }
        if (count == 0) {
            g_ptr_array_add(plan->unmatched, g_strdup(pattern));
        }
    }
    return TRUE;
}

static gboolean seal_plan_reaches(SystemTree *tree, const SealPlan *plan)
{
    gboolean reaches = TRUE;
    for (guint i = 0; reaches && i < plan->remove->len; i++) {
        reaches = system_tree_reaches(tree, g_ptr_array_index(plan->remove, i));
    }
    for (guint i = 0; reaches && i < plan->empty->len; i++) {
        reaches = system_tree_reaches(tree, g_ptr_array_index(plan->empty, i));
    }
    return reaches;
}

static gboolean seal_plan_run(SystemTree *tree, const SealPlan *plan, GError **error)
{
    for (guint i = 0; i < plan->remove->len; i++) {
        if (!system_tree_remove(tree, g_ptr_array_index(plan->remove, i), error)) {
            return FALSE;
        }
    }
    for (guint i = 0; i < plan->empty->len; i++) {
        if (!system_tree_empty(tree, g_ptr_array_index(plan->empty, i), error)) {
            return FALSE;
        }
    }
    for (guint i = 0; i < plan->remake->len; i++) {
        if (!firstboot_install(tree, g_ptr_array_index(plan->remake, i), error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* A file that held nothing but the build's key is the build's. */
static gboolean seal_remove_key(SystemTree *tree, const char *path, const char *key, GError **error)
{
    g_autofree char *text = NULL;
    if (key != NULL && !system_tree_read(tree, path, SYSTEM_TEXT_MAX, &text, error)) {
        return FALSE;
    }
    g_autofree char *rest = text == NULL ? NULL : keyline_remove(text, key);
    return rest == NULL ||
           (*rest == '\0' ? system_tree_remove(tree, path, error) : system_tree_write(tree, path, rest, 0600, error));
}

/* The tree, and what is to be done in it. Where that is out of the tree's reach, the appliance's takes its place. */
static SystemTree *seal_open(const SealOptions *options, SealPlan *plan, GPtrArray *notes, GError **error)
{
    SystemTreeOptions opened = {
        .disk = options->disk,
        .format = options->format,
        .workdir = options->workdir,
        .cache = options->cache,
        .appliance = options->appliance,
        .notes = notes,
        .needs_dpkg = TRUE,
    };
    g_autoptr(SystemTree) tree = system_tree_open(&opened, error);
    if (tree == NULL || !seal_plan_make(tree, options->rules, plan, error)) {
        return NULL;
    }
    if (seal_plan_reaches(tree, plan)) {
        return g_steal_pointer(&tree);
    }
    g_clear_pointer(&tree, system_tree_free); /* the disk is served to one at a time */
    seal_plan_clear(plan);
    opened.appliance = TRUE;
    tree = system_tree_open(&opened, error);
    return tree != NULL && seal_plan_make(tree, options->rules, plan, error) ? g_steal_pointer(&tree) : NULL;
}

static gboolean seal_remove_traces(SystemTree *tree, const char *const *traces, GError **error)
{
    for (; traces != NULL && *traces != NULL; traces++) {
        if (!system_tree_remove(tree, *traces, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean seal_disk(const SealOptions *options, SealReport *report, GError **error)
{
    g_auto(SealPlan) plan = {NULL};
    report->notes = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(SystemTree) tree = seal_open(options, &plan, report->notes, error);
    if (tree == NULL || (report->os = system_tree_os(tree, error)) == NULL ||
        (report->packages = system_tree_packages(tree, error)) == NULL) {
        return FALSE;
    }
    report->unmatched = g_ptr_array_ref(plan.unmatched);
    return seal_plan_run(tree, &plan, error) && seal_remove_traces(tree, options->traces, error) &&
           seal_remove_key(tree, "/root/.ssh/authorized_keys", options->key, error) &&
           seal_remove_key(tree, "/root/.ssh/authorized_keys2", options->key, error) &&
           firstboot_install_host_keys(tree, error) && system_tree_wipe(tree, error) && system_tree_close(tree, error);
}
