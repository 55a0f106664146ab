/* The URLs of a recipe's source: the login and the query of one, which may be a signature, are secrets, though no
 * variable says so. */
#pragma once

#include "recipe/recipe.h"

/* Adds them to the recipe's secrets and the process's, and masks them in every string of public_tree (a step or the
 * description may have the same variable) and in public_text. */
void urls_hide(Recipe *recipe);
