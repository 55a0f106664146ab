/* ingot-pipeline: pipelines as files in YAML. `ingot pipeline` runs it from the libexec folder. */
#include "pipeline/verb.h"

int main(int argc, char **argv)
{
    const IngotVerb verbs[] = {verb_pipeline, {0}};
    return ingot_command_main("ingot-pipeline", "applies pipelines to registries", verbs, argc, argv);
}
