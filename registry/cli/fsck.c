#include <ingot/error.h>
#include <ingot/transfer.h>
#include <stdio.h>

#include "base/json.h"
#include "base/process.h"
#include "cli/common.h"
#include "cli/verbs.h"
#include "store/meant.h"
#include "transfer/pull.h"

static char *fault_name(const IngotStoreFault *fault)
{
    if (fault->entry == NULL) {
        return g_strdup(fault->attached ? "attached to no image" : "the store");
    }
    const char *tag = fault->entry->former ? "<none>" : fault->entry->tag == NULL ? "-" : fault->entry->tag;
    g_autofree char *image = ingot_name_to_text(fault->entry->name, tag);
    return fault->attached ? g_strdup_printf("attached to %s", image) : g_steal_pointer(&image);
}

static void print_faults(const GPtrArray *faults)
{
    g_autoptr(json_t) rows = json_array();
    for (guint i = 0; i < faults->len; i++) {
        const IngotStoreFault *fault = g_ptr_array_index(faults, i);
        g_autofree char *name = fault_name(fault);
        if (ingot_command_common()->json) {
            json_t *row = json_object();
            ingot_json_set_string(row, "image", name);
            ingot_json_set_string(row, "problem", fault->problem); /* a path in it is any bytes */
            json_array_append_new(rows, row);
        } else {
            printf("%s: %s\n", name, fault->problem);
        }
    }
    if (ingot_command_common()->json) {
        cli_print_json(rows);
    }
}

/* The same image again, from where it was pulled, with what is attached to it and all its faults; what can't be had
 * stays as it is, and that is said. Another command may have removed it since it was looked at: then it stays removed.
 */
static void repair(IngotStore *store, const IngotStoreFault *fault, GHashTable *repaired)
{
    if (fault->entry == NULL) {
        return;
    }
    g_autofree char *digest = ingot_digest_to_text(&fault->entry->manifest.digest);
    g_autofree char *name = ingot_name_to_text(fault->entry->name, fault->entry->tag);
    g_autofree char *text = g_strdup_printf("%s@%s", name, digest);
    g_autoptr(IngotReference) reference = ingot_reference_parse(text, NULL);
    if (reference == NULL || reference->host == NULL || g_hash_table_contains(repaired, digest) ||
        !meant_is_there(store, fault->entry)) {
        return;
    }
    g_autoptr(IngotRemoteOptions) remote = ingot_remote_options_from_environment();
    const IngotPullOptions options = {.progress = ingot_command_progress(), .remote = remote};
    g_autoptr(GError) error = NULL;
    if (pull_again(store, reference, &options, &error)) {
        g_hash_table_add(repaired, g_steal_pointer(&digest));
    } else {
        ingot_progress_warning(ingot_command_progress(), "%s: %s", text, error->message);
    }
}

static GPtrArray *repair_all(IngotStore *store, GPtrArray *faults, GError **error)
{
    g_autoptr(GHashTable) repaired = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < faults->len && ingot_interrupt_check(NULL); i++) {
        repair(store, g_ptr_array_index(faults, i), repaired);
    }
    return ingot_store_check(store, error);
}

/* The list of images itself: without it, nothing else can be looked at. */
static gboolean check_list(IngotStore *store, gboolean repairs, GError **error)
{
    g_auto(IngotStoreRecovery) recovery = {0};
    if (!ingot_store_look(store, &recovery, error)) {
        return FALSE;
    }
    if (recovery.problem == NULL) {
        return TRUE;
    }
    if (!repairs) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s; --repair brings back %u names, and calls %u images that nothing names recovered:HEX",
                    recovery.problem, recovery.names, recovery.images);
        return FALSE;
    }
    ingot_store_recovery_clear(&recovery);
    if (!ingot_store_recover(store, &recovery, error)) {
        return FALSE;
    }
    if (recovery.problem != NULL) {
        ingot_progress_warning(ingot_command_progress(),
                               "%s: it is made again, with %u names that are known, and %u images that nothing named "
                               "(recovered:HEX); the damaged one stays beside it",
                               recovery.problem, recovery.names, recovery.images);
    }
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    gboolean repairs = FALSE;
    const GOptionEntry entries[] = {
        {"repair", 0, 0, G_OPTION_ARG_NONE, &repairs, "Fetch damaged images again from the registry of their name",
         NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_fsck, entries, 0, 0, &argc, &argv, error)) {
        return FALSE;
    }
    g_autoptr(IngotStore) store = cli_store_to_read();
    g_autoptr(GPtrArray) faults = check_list(store, repairs, error) ? ingot_store_check(store, error) : NULL;
    if (faults != NULL && repairs && faults->len > 0) {
        GPtrArray *left = repair_all(store, faults, error);
        g_ptr_array_unref(faults);
        faults = left;
    }
    if (faults == NULL) {
        return FALSE;
    }
    print_faults(faults);
    if (faults->len > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%u faults; --repair fetches what was pulled; what was made here is packed, or built, again; "
                    "`ingot gc` removes what is <none>",
                    faults->len);
        return FALSE;
    }
    return TRUE;
}

const IngotVerb verb_fsck = {
    "fsck", "", "check every blob of the store's images",
    "Reads all of it, prints what is damaged or missing, and ends with status 1 where anything "
    "is. With --repair, an image whose name has a registry's host is fetched again from there: "
    "only its damaged parts cross the network. A damaged list of images (index.json) is made again "
    "from the last good one and from the images that are there: those that nothing names are called "
    "recovered:HEX then, for `ingot tag` to name.\n\n"
    "Examples:\n  ingot fsck\n  ingot fsck --repair\n",
    run};
