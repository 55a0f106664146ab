/* Kinds of SystemTree: one kind, one file. Its functions are those of tree.h, which are called through this table. */
#pragma once

#include "system/tree.h"

typedef struct {
    gboolean (*remove)(SystemTree *tree, const char *pattern, GError **error);
    gboolean (*empty)(SystemTree *tree, const char *pattern, GError **error);
    gboolean (*exists)(SystemTree *tree, const char *path, gboolean *exists, GError **error);
    char *(*read)(SystemTree *tree, const char *path, GError **error);
    gboolean (*write)(SystemTree *tree, const char *path, const char *text, guint mode, GError **error);
    gboolean (*link)(SystemTree *tree, const char *target, const char *path, GError **error);
    json_t *(*os)(SystemTree *tree, GError **error);
    json_t *(*packages)(SystemTree *tree, GError **error);
    gboolean (*trim)(SystemTree *tree, GError **error);
    gboolean (*close)(SystemTree *tree, GError **error);
    void (*free)(SystemTree *tree);
} SystemTreeKind;

struct SystemTree {
    const SystemTreeKind *kind;
};

/* *tree stays NULL where the disk is not of the simple kind that can be written in place. */
gboolean system_tree_open_inplace(const SystemTreeOptions *options, SystemTree **tree, GError **error);
SystemTree *system_tree_open_guestfs(const SystemTreeOptions *options, GError **error);
