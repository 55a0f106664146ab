/* Variables: what ${name} stands for, and the text with its value in its place.
 *
 * A value comes from --var, else the last --var-file that has it, else INGOT_VAR_name, else the declaration's default;
 * INGOT_VAR_name counts for recipes of this host alone: of one that came with an image, the value that the image was
 * built with stands in its place, and with RecipeInputs.kept the default does not count either.
 * Built-ins: git.commit, git.dirty, date, recipe.dir, recipe.name, version. "$${" is a literal "${". In a shell's text
 * only declared variables and the built-ins with a dot are replaced: all other ${x} are the shell's own. */
#pragma once

#include "recipe/recipe.h"
#include "yaml/yaml.h"

typedef struct Variables Variables;
/* Reads the inputs; folder is the recipe's. What can't be read or parsed goes to diagnostics. */
Variables *variables_new(const RecipeInputs *inputs, const char *folder, Diagnostics *diagnostics);
void variables_free(Variables *variables);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Variables, variables_free)

gboolean variables_is_builtin(const char *name);
/* Declares a variable; fallback (its default) may be NULL. FALSE: it is required and nobody has set it. */
gboolean variables_declare(Variables *variables, const char *name, const char *fallback, gboolean required,
                           gboolean secret);
/* What is used from now on is noted, and nothing from before: what a declaration's default is made of, before it is
 * declared; what a part of a recipe uses. */
void variables_watch(Variables *variables);
/* {name: value}, secrets as "***": those used since then whose values are not the recipe's own: set by whoever runs it,
 * in place of the default, or of a default that is made of such a one. */
json_t *variables_chosen(const Variables *variables);
/* Its default has a mistake, which has been reported: what uses it is not looked at further. */
void variables_break(Variables *variables, const char *name);
/* Some declarations could not be read: a name that is not declared may be one of them. */
void variables_set_incomplete(Variables *variables);
/* A secret that is not a variable's value. */
void variables_add_secret(Variables *variables, const char *value);
/* The scalar is a secret that stands in the recipe's text; NULL is ignored. */
void variables_hide(Variables *variables, const YamlNode *scalar);
/* The recipe's text as it may be kept and shown: hidden scalars blanked, however they are written, and the secrets'
 * values masked. Free it. */
char *variables_shown_text(const Variables *variables, const char *text);
/* Sets recipe.name or version, once they are known. */
void variables_set_builtin(Variables *variables, const char *name, const char *value);
/* Once all are declared: what was set but is declared nowhere is a mistake, unless RecipeInputs.findings collects. */
void variables_check_given(const Variables *variables, Diagnostics *diagnostics);

/* The same for several recipes, with all that RecipeInputs.findings has collected. */
gboolean variables_check_names(const RecipeInputs *inputs, guint recipes, GError **error);

const GPtrArray *variables_secrets(const Variables *variables); /* for ingot_secrets_mask */
json_t *variables_public(const Variables *variables);           /* {name: value}, secrets as "***" */
/* Adds the built-ins that the recipe asked for and that another day or place would have otherwise: date, git.…. */
void variables_add_asked(const Variables *variables, json_t *values);

typedef enum {
    EXPAND_SHELL = 1 << 0,   /* the text is a shell's */
    EXPAND_SECRETS = 1 << 1, /* secrets may stand in it */
    EXPAND_SHOWN = 1 << 2,   /* with "***" for them */
} ExpandFlags;
/* The scalar's text with all values in their places, or NULL with a mistake. Free it. */
char *variables_expand(Variables *variables, const YamlNode *scalar, ExpandFlags flags, Diagnostics *diagnostics);
