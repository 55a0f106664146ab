/* ingot-build: the verbs that make and boot images. `ingot VERB` runs it as ingot-VERB from the libexec folder. */
#include "verbs.h"

int main(int argc, char **argv)
{
    const IngotVerb verbs[] = {verb_build, verb_cache, verb_plan,     verb_recipe, verb_run,
                               verb_shell, verb_test,  verb_validate, {0}};
    return ingot_command_main("ingot-build", "bakes golden machine images", verbs, argc, argv);
}
