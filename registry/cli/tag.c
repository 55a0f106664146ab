#include <ingot/error.h>

#include "cli/common.h"
#include "cli/verbs.h"

/* NAME:TAG, or HOST/NAME:TAG, as which the store keeps what was pulled. */
static IngotReference *parse_target(const char *text, GError **error)
{
    g_autoptr(IngotReference) target = ingot_reference_parse(text, error);
    if (target != NULL && (target->tag == NULL || target->digest != NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: NAME:TAG is expected, as in team/web:1.0.0", text);
        return NULL;
    }
    return g_steal_pointer(&target);
}

static gboolean run(int argc, char **argv, GError **error)
{
    if (!ingot_command_options(&verb_tag, NULL, 2, 2, &argc, &argv, error)) {
        return FALSE;
    }
    g_autoptr(IngotReference) from = ingot_reference_parse(argv[1], error);
    g_autoptr(IngotReference) to = from == NULL ? NULL : parse_target(argv[2], error);
    g_autoptr(IngotStore) store = to == NULL ? NULL : cli_store(error);
    g_autoptr(IngotStoreEntry) entry = store == NULL ? NULL : ingot_store_find(store, from, error);
    if (entry == NULL) {
        return FALSE;
    }
    g_autofree char *name = ingot_reference_local_name(to);
    if (!ingot_store_tag(store, name, to->tag, &entry->manifest, error)) {
        return FALSE;
    }
    cli_print_result(argv[2], &entry->manifest.digest);
    return TRUE;
}

const IngotVerb verb_tag = {"tag", "IMAGE NAME:TAG", "give an image of the store another name",
                            "Both names are of one image, whose bytes are there once. What had the new name before "
                            "stays without one until `ingot gc`.\n\n"
                            "Examples:\n  ingot tag team/web:1.0.0 team/web:stable\n"
                            "  ingot tag team/web:1.0.0 registry.example/team/web:1.0.0\n",
                            run};
