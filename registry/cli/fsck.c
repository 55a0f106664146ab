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
        return g_strdup("an attachment");
    }
    return g_strdup_printf("%s:%s", fault->entry->name,
                           fault->entry->former        ? "<none>"
                           : fault->entry->tag == NULL ? "-"
                                                       : fault->entry->tag);
}

static void print_faults(const GPtrArray *faults)
{
    g_autoptr(json_t) rows = json_array();
    for (guint i = 0; i < faults->len; i++) {
        const IngotStoreFault *fault = g_ptr_array_index(faults, i);
        g_autofree char *name = fault_name(fault);
        if (ingot_command_common()->json) {
            json_array_append_new(rows, ingot_json_pack("{s:s, s:s}", "image", name, "problem", fault->problem));
        } else {
            printf("%s: %s\n", name, fault->problem);
        }
    }
    if (ingot_command_common()->json) {
        cli_print_json(rows);
    }
}

/* The same image again, from where it was pulled, with all its faults; what can't be had stays as it is, and that is
 * said. Another command may have removed it since it was looked at: then it stays removed. */
static void repair(IngotStore *store, const IngotStoreFault *fault, GHashTable *repaired)
{
    if (fault->entry == NULL) {
        return;
    }
    g_autofree char *digest = ingot_digest_to_text(&fault->entry->manifest.digest);
    g_autofree char *text = g_strdup_printf("%s%s%s@%s", fault->entry->name, fault->entry->tag == NULL ? "" : ":",
                                            fault->entry->tag == NULL ? "" : fault->entry->tag, digest);
    g_autoptr(IngotReference) reference = ingot_reference_parse(text, NULL);
    if (reference == NULL || reference->host == NULL || g_hash_table_contains(repaired, digest)) {
        return;
    }
    g_autoptr(IngotStoreEntry) still = meant_name(store, reference, NULL);
    g_autoptr(GError) error = NULL;
    if (still != NULL && pull_again(store, reference, ingot_command_progress(), &error)) {
        g_hash_table_add(repaired, g_steal_pointer(&digest));
    } else if (error != NULL) {
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
    g_autoptr(IngotStore) store = repairs ? cli_store(error) : cli_store_to_read();
    g_autoptr(GPtrArray) faults = store == NULL ? NULL : ingot_store_check(store, error);
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
    "only its damaged parts cross the network.\n\n"
    "Examples:\n  ingot fsck\n  ingot fsck --repair\n",
    run};
