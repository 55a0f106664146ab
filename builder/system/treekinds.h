/* Kinds of SystemTree: one kind, one file. The functions are called through this table; where tree.h has one of the
 * same name, that tells what it does. */
#pragma once

#include "system/tree.h"

typedef enum { SYSTEM_NOTHING, SYSTEM_PLAIN, SYSTEM_FOLDER, SYSTEM_LINK, SYSTEM_OTHER } SystemType;

typedef struct {
    /* Adds the names in the folder (char *, without "." and ".."), links followed: none where it is not a folder. */
    gboolean (*list)(SystemTree *tree, const char *folder, GPtrArray *names, GError **error);
    /* What is at path, a link as a link: SYSTEM_NOTHING where nothing is. */
    gboolean (*look)(SystemTree *tree, const char *path, SystemType *type, GError **error);
    /* The same for what a link at path leads to: SYSTEM_NOTHING also for a link to nothing. *size: of a plain file. */
    gboolean (*follow)(SystemTree *tree, const char *path, SystemType *type, guint64 *size, GError **error);
    gboolean (*reaches)(SystemTree *tree, const char *path);
    gboolean (*remove)(SystemTree *tree, const char *path, GError **error);
    gboolean (*empty)(SystemTree *tree, const char *path, GError **error); /* called for plain files alone */
    char *(*read)(SystemTree *tree, const char *path,
                  GError **error); /* called for plain files alone, links followed */
    /* Called where a plain file is (links followed), or nothing, not even a link. */
    gboolean (*write)(SystemTree *tree, const char *path, const char *text, guint mode, GError **error);
    gboolean (*link)(SystemTree *tree, const char *target, const char *path, GError **error);
    json_t *(*os)(SystemTree *tree, GError **error);
    json_t *(*packages)(SystemTree *tree, GError **error);
    gboolean (*wipe)(SystemTree *tree, GError **error);
    gboolean (*close)(SystemTree *tree, GError **error);
    void (*free)(SystemTree *tree);
} SystemTreeKind;

struct SystemTree {
    const SystemTreeKind *kind;
};

/* *tree stays NULL where the disk is not of the simple kind that can be written in place. */
gboolean system_tree_open_inplace(const SystemTreeOptions *options, SystemTree **tree, GError **error);
SystemTree *system_tree_open_guestfs(const SystemTreeOptions *options, GError **error);
