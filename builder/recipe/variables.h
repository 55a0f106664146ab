/* Variables: what ${name} stands for, and the text with its value in its place.
 *
 * A value comes from --var, else the last --var-file that has it, else INGOT_VAR_name, else the declaration's default.
 * Built-ins: git.commit, git.dirty, date, recipe.dir, recipe.name, version. "$${" is a literal "${". In a shell's text
 * only declared variables and the built-ins with a dot are replaced: all other ${x} are the shell's own. */
#pragma once

#include "recipe/recipe.h"
#include "recipe/yaml.h"

typedef struct Variables Variables;
/* Reads the inputs; folder is the recipe's. What can't be read or parsed goes to diagnostics. */
Variables *variables_new(const RecipeInputs *inputs, const char *folder, Diagnostics *diagnostics);
void variables_free(Variables *variables);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Variables, variables_free)

gboolean variables_is_builtin(const char *name);
/* Declares a variable; fallback (its default) may be NULL. FALSE: it is required and nobody has set it. */
gboolean variables_declare(Variables *variables, const char *name, const char *fallback, gboolean required,
                           gboolean secret);
/* Sets recipe.name or version, once they are known. */
void variables_set_builtin(Variables *variables, const char *name, const char *value);
/* Once all are declared: what was set but is declared nowhere is a mistake. */
void variables_check_given(const Variables *variables, Diagnostics *diagnostics);

const GPtrArray *variables_secrets(const Variables *variables); /* of char *, for mask_text */
json_t *variables_public(const Variables *variables);           /* {name: value}, secrets as "***" */

typedef enum {
    EXPAND_SHELL = 1 << 0,   /* the text is a shell's */
    EXPAND_SECRETS = 1 << 1, /* secrets may stand in it */
    EXPAND_SHOWN = 1 << 2,   /* with "***" for them */
} ExpandFlags;
/* The scalar's text with all values in their places, or NULL with a mistake. Free it. */
char *variables_expand(Variables *variables, const YamlNode *scalar, ExpandFlags flags, Diagnostics *diagnostics);
