/* A system's files on a disk that nobody has mounted, as the seal works on them: by paths from /, by glob(7) patterns.
 *
 * Two of a kind stand behind it: ext4 written in place (direct.c: milliseconds, for the usual disk) and libguestfs's
 * appliance (appliance.c: a virtual machine of its own, for every disk). What the seal does is written once, over this.
 * Links on the way to a file are followed; what a pattern names is removed as it is, links as links. */
#pragma once

#include <ingot/json.h>

typedef struct SealTree SealTree;

typedef struct {
    /* Everything that the pattern matches: removed with all below it, or (plain files alone) made empty. */
    gboolean (*remove)(SealTree *tree, const char *pattern, GError **error);
    gboolean (*empty)(SealTree *tree, const char *pattern, GError **error);
    /* *exists: whether there is a file of any kind at path. */
    gboolean (*exists)(SealTree *tree, const char *path, gboolean *exists, GError **error);
    /* A plain file's text; NULL on failure. Free it. */
    char *(*read)(SealTree *tree, const char *path, GError **error);
    /* An existing file keeps its owner and mode; a new one is root's, 0644, and its folders are made. */
    gboolean (*write)(SealTree *tree, const char *path, const char *text, GError **error);
    gboolean (*link)(SealTree *tree, const char *target, const char *path, GError **error);
    /* {"id", "version"}, and [{"name", "version", "architecture"}]; NULL on failure. */
    json_t *(*os)(SealTree *tree, GError **error);
    json_t *(*packages)(SealTree *tree, GError **error);
    /* Makes the free space holes and writes everything out; the tree is only freed after it. */
    gboolean (*finish)(SealTree *tree, GError **error);
    void (*free)(SealTree *tree);
} SealTreeKind;

struct SealTree {
    const SealTreeKind *kind;
};

static inline void seal_tree_free(SealTree *tree)
{
    tree->kind->free(tree);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SealTree, seal_tree_free)

/* *tree stays NULL where the disk is not of the simple kind that can be written in place: one ext2/3/4 in a partition,
 * cleanly unmounted or frozen, with a dpkg system on it. */
gboolean seal_direct_open(const char *disk, const char *format, const char *workdir, SealTree **tree, GError **error);
/* cache: where the appliance is kept from one time to the next. */
SealTree *seal_appliance_open(const char *disk, const char *format, const char *cache, GError **error);
