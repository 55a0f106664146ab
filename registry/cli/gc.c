#include "base/text.h"

#include "cli/common.h"
#include "cli/verbs.h"

static gboolean run(int argc, char **argv, GError **error)
{
    IngotGarbage garbage;
    if (!ingot_command_options(&verb_gc, NULL, 0, 0, &argc, &argv, error)) {
        return FALSE;
    }
    g_autoptr(IngotStore) store = cli_store(error);
    if (store == NULL || !ingot_store_collect(store, &garbage, error)) {
        return FALSE;
    }
    g_autofree char *size = ingot_text_size(garbage.freed);
    ingot_progress_message(ingot_command_progress(),
                           "%s freed: %u replaced images, %u blobs that nothing named, %u unfinished downloads", size,
                           garbage.images, garbage.blobs, garbage.partials);
    if (garbage.held > 0) {
        ingot_progress_message(ingot_command_progress(), "%u are in use by other commands, and stay", garbage.held);
    }
    if (garbage.unread > 0) {
        ingot_progress_message(ingot_command_progress(),
                               "%u attachments can't be read, and stay: `ingot fsck` tells which", garbage.unread);
    }
    return TRUE;
}

const IngotVerb verb_gc = {
    "gc", "", "remove what no image of the store needs",
    "Removes images whose name another has taken (<none> in `ingot images`), what killed commands left behind, and "
    "downloads that were not finished. What another command of ingot is busy with stays; other tools that write into "
    "the "
    "store are not to run meanwhile.\n\nExample:\n  ingot gc\n",
    run};
