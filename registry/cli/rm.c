#include <ingot/error.h>

#include "base/process.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/verbs.h"
#include "store/meant.h"

static gboolean remove_one(IngotStore *store, const char *text, GError **error)
{
    g_autoptr(IngotReference) reference = ingot_reference_parse(text, error);
    if (reference == NULL) {
        return FALSE;
    }
    if (reference->tag == NULL && reference->digest == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: say which version, as in %s:1.0.0", text, text);
        return FALSE;
    }
    g_autoptr(IngotStoreEntry) entry = meant_name(store, reference, error);
    IngotRemoval removal;
    if (entry == NULL || !ingot_store_remove(store, entry, &removal, error)) {
        return FALSE;
    }
    g_autofree char *size = ingot_text_size(removal.freed);
    if (reference->host != NULL) {
        ingot_progress_message(ingot_command_progress(),
                               "%s: removed from the store; %s was not asked to remove it (%s freed)", text,
                               reference->host, size);
    } else {
        ingot_progress_message(ingot_command_progress(), "%s: removed, %s freed", text, size);
    }
    if (removal.unread > 0) {
        ingot_progress_message(ingot_command_progress(),
                               "%u attachments or replaced images can't be read, and were passed over", removal.unread);
    }
    return TRUE;
}

/* One that can't be removed does not keep the others. */
static gboolean run(int argc, char **argv, GError **error)
{
    if (!ingot_command_options(&verb_rm, NULL, 1, -1, &argc, &argv, error)) {
        return FALSE;
    }
    g_autoptr(IngotStore) store = cli_store_to_read();
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        g_autoptr(GError) problem = NULL;
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        if (remove_one(store, argv[i], &problem)) {
            continue;
        }
        if (argc == 2) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return FALSE;
        }
        ingot_progress_warning(ingot_command_progress(), "%s", problem->message);
        failed++;
    }
    if (failed > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%d of %d were not removed", failed, argc - 1);
    }
    return failed == 0;
}

const IngotVerb verb_rm = {
    "rm", "IMAGE...", "remove images from the store",
    "Bytes that another image of the store still needs stay. Nothing is removed from a "
    "registry. One that can not be removed does not keep the others: the status is 1 then. An image "
    "that is given by its digest is not removed while it has a tag, since NAME@DIGEST says none; "
    "sha256:HEX alone removes an image that has one name.\n\n"
    "Example:\n  ingot rm team/web:1.0.0\n",
    run};
