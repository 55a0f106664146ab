/* --var and --var-file, which every verb that reads recipes takes. */
#pragma once

#include <glib.h>

#include "recipe/recipe.h"

typedef struct {
    char **vars, **var_files;
} Inputs;

static inline void inputs_clear(Inputs *inputs)
{
    g_strfreev(inputs->vars);
    g_strfreev(inputs->var_files);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Inputs, inputs_clear)

/* Two GOptionEntry that fill an Inputs. */
#define INPUTS_OPTIONS(inputs)                                                                                         \
    {"var", 0, 0, G_OPTION_ARG_STRING_ARRAY, &(inputs).vars, "Set a variable of the recipe", "K=V"},                   \
    {                                                                                                                  \
        "var-file", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &(inputs).var_files, "Variables from a YAML or JSON file",      \
            "FILE"                                                                                                     \
    }

/* As recipe_load wants them; valid as long as inputs is. */
static inline RecipeInputs inputs_of(const Inputs *inputs)
{
    return (RecipeInputs){.vars = (const char *const *)inputs->vars,
                          .var_files = (const char *const *)inputs->var_files};
}
