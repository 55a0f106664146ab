/* The URLs of a recipe's source: the login and the query of one, which may be a signature, are secrets, though no
 * variable says so. */
#pragma once

#include "recipe/recipe.h"

/* Adds them to the recipe's secrets and the process's, and takes them out of public_tree and public_text. */
void urls_hide(Recipe *recipe);
