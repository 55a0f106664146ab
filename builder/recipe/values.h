/* Values: one scalar of a recipe as the tables want it, or a mistake that quotes it. */
#pragma once

#include "recipe/keys.h"
#include "recipe/variables.h"

typedef struct Check {
    const RecipeInputs *inputs;    /* may be NULL */
    const RecipeFetched **fetched; /* what the recipe is based on, where it came with an image */
    const char *folder;            /* of the recipe, absolute */
    const char *within;            /* see RecipeInputs; NULL: the recipe is this host's own */
    Variables *variables;
    Diagnostics *diagnostics;
    gboolean shown;           /* make the public tree: secrets masked, host paths as written */
    gboolean defaults_count;  /* with tests_of: the defaults of its variables do */
    const YamlNode *tests_of; /* the recipe's map, of which only what its tests need is looked at; NULL: all of it is */
} Check;

/* A new value, or NULL with a mistake. secrets: they may stand in it. */
json_t *value_of(const Check *check, const Key *key, const YamlNode *node, gboolean secrets);
/* A path on the host, absolute by the recipe's folder (a '/' at its end stays). Free it. */
char *value_host_path(const Check *check, const char *path);
/* Of a value that no table describes: reports what is wrong whatever it was meant to be. */
void value_check_loosely(const Check *check, const YamlNode *node);
/* Reports a host path that does not exist, that is not for the recipe to read (Check.within), or where something else
 * lies than a file or a folder. file: a folder neither will do, nor a file of more than most bytes (0: of any size). */
void value_check_path(const Check *check, const YamlNode *node, const char *path, gboolean file, gint64 most);
/* The text as the tree that is being made wants it: with its secrets masked in the public one. Free it. */
char *value_shown(const Check *check, const YamlNode *node, const char *text, ExpandFlags flags);
