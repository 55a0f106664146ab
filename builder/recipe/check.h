/* The walk: a recipe's nodes along the tables of keys.h, to the checked tree and every mistake on the way. */
#pragma once

#include "recipe/values.h"

/* Declares the recipe's variables: once, before check_tree. */
void check_variables(const Check *check, const YamlNode *root);
/* The checked tree as recipe.h describes it; whole only if there were no mistakes. */
json_t *check_tree(const Check *check, const YamlNode *root);
