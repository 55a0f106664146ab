/* A recipe: YAML text becomes a checked, fully expanded tree, or a list of every mistake in it.
 *
 * The tree is plain JSON with every default filled in and every ${var} replaced, so that later rooms never meet the
 * text again. Secrets are replaced too, in steps, tests and the session's password alone; recipe->secrets has their
 * values for masking, and recipe->public_tree is the tree with "***" in their place, the only one that may be stored or
 * shown. Paths on the host are absolute in the tree and as the recipe has them in public_tree, so that keys don't
 * depend on where a checkout lies.
 *
 * The tree (? marks a key that is left out where the recipe says nothing):
 *   name, version?, description?
 *   variables    {name: value}, all strings; secrets are "***" in both trees
 *   source       {"kind": "bootstrap", "distribution", "suite", "mirror"?, "components": [..], "packages": [..],
 *                "max_age": seconds}
 *                {"kind": "image", "path" or "url", "sha256": 64 hex digits, "format"?}
 *                {"kind": "from", "reference"}, {"kind": "recipe", "path"} (of one that came with an image: where
 *                 it lies here, and, in public_tree, the image's reference)
 *   machine      {"cpus": N, "memory": bytes, "disk"?: bytes, "disks"?: [bytes], "firmware": "bios" or "uefi"}
 *   session      {"user", "password"?, "key"?: host path, "sudo": bool, "proxy": "pass" or "off"}
 *   steps        each with "name"?, "max_age"?: seconds, "cache": "memory", "disk" or "off", "shutdown": bool,
 *                "offline": bool, and
 *                {"kind": "shell", "script": text or "path": host path, "env": {}, "user", "workdir"?,
 *                  "expect": [exit codes], "timeout": seconds},
 *                 {"kind": "file", "from", "to", "direction": "up" or "down", "mode"?: octal text, "owner"?}
 *   tests        each with "name"?, "timeout": seconds, and
 *                {"kind": "shell", "script": text, "expect": [exit codes], "user"}, {"kind": "service", "service"},
 *                {"kind": "port", "port": N}, {"kind": "package", "package"},
 *                {"kind": "file", "path", "exists": bool, "mode"?: octal text, "content"?: regex},
 *                {"kind": "http", "port": N, "path", "status": N, "body"?: regex}
 *   seal         {"keep": [..], "remove": [guest paths]}
 *   outputs      [names of formats]
 *   evidence     {"files": bool}
 *   annotations  {key: text}
 */
#pragma once

#include "base/json.h"

#include "yaml/diagnostics.h"

typedef struct {
    char *path;           /* as given, for messages */
    char *folder;         /* absolute; relative paths in the recipe start here */
    char *text;           /* the file's bytes: never stored, never shown */
    char *public_text;    /* with "***" for every secret that stands in it, however it is written */
    char *name, *version; /* version may be NULL */
    json_t *tree;         /* with secrets: never stored, never shown */
    json_t *public_tree;  /* with "***" */
    json_t *values; /* {name: text}: what ${name} stands for, of variables, and of date and git.… where the recipe
                       asks for them; "***" in it stands for a secret */
    json_t *chosen; /* {name: text}, of values: what its tests, machine and session use that is not the default which
                       its text has, since somebody has set it, or something that the default is made of */
    GPtrArray *secrets; /* see base/secrets.h */
    char *image;        /* HOST/NAME@DIGEST that it came with; NULL: it is a file of this host */
    json_t *required;   /* what a pipeline has added (recipe/required.h); NULL: nothing */
} Recipe;

/* A recipe that came with an image. */
typedef struct {
    char *path;     /* of its file here, absolute */
    char *folder;   /* that it was unpacked into with its files, absolute: see RecipeInputs.within */
    char *image;    /* HOST/NAME@DIGEST */
    json_t *values; /* Recipe.values of that image's build; NULL: none is known, as of an older image */
} RecipeFetched;
/* Has the recipe of HOST/NAME:TAG or HOST/NAME@DIGEST; it stays whoever's that gives it. */
typedef const RecipeFetched *(*RecipeFetch)(const char *reference, gpointer user, GError **error);

/* What is found out of a recipe even where it has mistakes; collected over several recipes. */
typedef struct {
    GHashTable *declared;                /* the names of variables: set of char * (owned) */
    gboolean incomplete;                 /* a recipe's declarations could not be read */
    char *parent;                        /* the file of the recipe that the last one is based on, or NULL */
    Place parent_place;                  /* where that is said */
    const RecipeFetched *parent_fetched; /* of a parent that came with an image, else NULL */
} RecipeFindings;

typedef struct {
    const char *const *vars;      /* "k=v" from --var, NULL-terminated, may be NULL */
    const char *const *var_files; /* from --var-file, may be NULL */
    RecipeFindings *findings;     /* may be NULL; else a variable that this recipe lacks is not a mistake */
    /* May be NULL. Else the values that an image of this recipe was built with (Recipe.values): neither the environment
     * nor the defaults count, and the recipe is read for its tests alone, without a look at source and steps. A value
     * that is not known, a secret, is a mistake where it is used and not given. */
    const json_t *kept;
    gboolean tests_only;    /* it is read for its tests alone, too, and needs no source */
    gboolean defaults_only; /* its variables have their defaults, whatever is set here: it comes from elsewhere */
    /* May be NULL. Else the recipe came so: the values of its image's build count before the defaults, and the
     * environment not at all; one that is not known, a secret, is a mistake where it is used and not given. */
    const RecipeFetched *fetched;
    /* May be NULL. Else a folder: the recipe is somebody else's. Each file and folder of this host that it names must
     * lie there, links followed, and it may neither write on this host nor be based on a file. Of a fetched recipe it
     * is the folder of that, whatever is said here. */
    const char *within;
    /* NULL: of a source that is the recipe of an image, only the words are looked at. A set of recipes (set.h) asks for
     * the recipes of a bounded chain of images. */
    RecipeFetch fetch;
    gpointer fetch_user;
} RecipeInputs;

/* INVALID with one line "file:line:column: message" for each mistake, in the order of the text. */
Recipe *recipe_load(const char *path, const RecipeInputs *inputs, GError **error);
void recipe_free(Recipe *recipe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Recipe, recipe_free)

/* Whether its file still has the text that was loaded. */
gboolean recipe_is_unchanged(const Recipe *recipe);

/* The text with every secret's value replaced by "***". Free it. */
char *recipe_mask(const Recipe *recipe, const char *text);

#define RECIPE_DISKS_MAX 8

typedef struct {
    guint cpus;
    guint64 memory;                  /* bytes */
    guint64 disk;                    /* bytes; 0: as large as the source's */
    guint64 disks[RECIPE_DISKS_MAX]; /* further ones, empty at first; bytes */
    guint disk_count;                /* of those */
    gboolean uefi;
} RecipeMachine;
RecipeMachine recipe_machine(const Recipe *recipe);

/* How the builder gets into a machine that does not let it in by itself: a stock image of somebody else. */
typedef struct {
    gboolean given;                  /* there is a way in: a password or a key */
    const char *user;                /* "root" if the recipe names no other */
    const char *password, *key_path; /* one of the two; the recipe's. The password is among its secrets */
    gboolean sudo;                   /* the user becomes root by sudo */
    gboolean proxy;                  /* steps get this host's proxy settings: see proxy.h */
} RecipeSession;
RecipeSession recipe_session(const Recipe *recipe); /* its texts belong to the recipe */
