/* ingot-build: the verbs that make and boot images. `ingot VERB` runs it as ingot-VERB from the libexec folder. */
#include <ingot/command.h>

#include "verbs.h"

/* Verbs look themselves up here for their usage line. */
static const IngotVerb verbs[] = {
    {"build", "RECIPE...", "bake images from recipes into the local store", verb_build_help, verb_build},
    {"validate", "RECIPE...", "check recipes and list every mistake in them", verb_validate_help, verb_validate},
    {"run", "REF", "boot a throw-away copy of an image", verb_run_help, verb_run},
    {NULL, NULL, NULL, NULL, NULL},
};

int main(int argc, char **argv)
{
    return ingot_command_main("ingot-build", "bakes golden machine images", verbs, argc, argv);
}
