#include <ingot/error.h>
#include <ingot/text.h>

#include "cli/common.h"
#include "cli/verbs.h"

/* Adds to *freed the bytes that this one frees. */
static gboolean remove_one(IngotStore *store, const char *text, guint64 *freed, GError **error)
{
    g_autoptr(IngotReference) reference = ingot_reference_parse(text, error);
    if (reference == NULL) {
        return FALSE;
    }
    if (reference->tag == NULL && reference->digest == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: say which version, as in %s:1.0.0", text, text);
        return FALSE;
    }
    g_autoptr(IngotStoreEntry) entry = ingot_store_find(store, reference, error);
    guint64 own;
    if (entry == NULL || !ingot_store_remove(store, entry, &own, error)) {
        return FALSE;
    }
    *freed += own;
    if (reference->host != NULL) {
        ingot_progress_message(ingot_command_progress(), "%s: removed from the store; %s was not asked to remove it",
                               text, reference->host);
    }
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    if (!ingot_command_options(&verb_rm, NULL, 1, -1, &argc, &argv, error)) {
        return FALSE;
    }
    g_autoptr(IngotStore) store = cli_store_to_read();
    guint64 freed = 0;
    for (int i = 1; i < argc; i++) {
        if (!remove_one(store, argv[i], &freed, error)) {
            return FALSE;
        }
    }
    g_autofree char *size = ingot_text_size(freed);
    ingot_progress_message(ingot_command_progress(), "%s freed", size);
    return TRUE;
}

const IngotVerb verb_rm = {"rm", "IMAGE...", "remove images from the store",
                           "Bytes that another image of the store still needs stay. Nothing is removed from a "
                           "registry.\n\nExample:\n  ingot rm team/web:1.0.0\n",
                           run};
