/* A set of recipes: those that a person names, with all that they are based on, read together.
 *
 * Every mistake in any of them is reported, each once. A variable that is set from outside must be declared by at least
 * one recipe of the set: by which one is its own affair, so that a parent's variable is set where its child is built.
 */
#pragma once

#include "recipe/recipe.h"

typedef struct RecipeMember RecipeMember;
struct RecipeMember {
    char *given;          /* the path as it was first named, for messages */
    char *path;           /* absolute */
    gboolean asked_for;   /* not only because another one is based on it */
    Recipe *recipe;       /* NULL: it has mistakes */
    RecipeMember *parent; /* what it is based on, or NULL */
    GError *error;        /* its mistakes, or NULL */
};

typedef struct {
    GPtrArray *members;  /* of RecipeMember, each after its parent, else in the order they were given */
    GPtrArray *mistakes; /* of char *: those that are not one recipe's */
} RecipeSet;

/* paths: recipes, or folders whose *.yaml and *.yml are meant. */
RecipeSet *recipe_set_load(const GPtrArray *paths, const RecipeInputs *inputs);
void recipe_set_free(RecipeSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RecipeSet, recipe_set_free)

/* Notes one recipe's image; INVALID where another one noted in names (char * to Recipe, owned keys) would have the same
 * name and version: each would take it from the other. tag: what the image is named instead of the recipe's word. */
gboolean recipe_set_refuse_twin(GHashTable *names, Recipe *recipe, const char *tag, GError **error);
/* Adds two of one image to the mistakes. */
void recipe_set_find_twins(RecipeSet *set);

/* TRUE if there are no mistakes; INTERRUPTED where the process is to end; else INVALID with all of them, one a line. */
gboolean recipe_set_raise(const RecipeSet *set, GError **error);
