/* A system's files on a disk that nobody has mounted, by paths from /.
 *
 * Two kinds stand behind it: ext4 written in place (inplace.c: milliseconds, for the usual disk) and libguestfs's
 * appliance (viaguestfs.c: a virtual machine of its own, for every disk). The caller's code is the same for both, and
 * so is the meaning of a pattern, which is matched above them (match.c). Links on the way to a file are followed; the
 * file itself is taken as it is, a link as a link, except where a function says otherwise.
 *
 * Nothing is promised about the disk before system_tree_close has returned TRUE: a tree that is freed without it, since
 * something failed, may leave a disk that must be thrown away. */
#pragma once

#include "base/json.h"

typedef struct SystemTree SystemTree;

typedef struct {
    const char *disk, *format;
    const char *workdir; /* for a passing file */
    const char *cache;   /* see appliance.h */
    gboolean appliance;  /* the appliance, whatever the disk is like */
    GPtrArray *notes;    /* gets a line (char *) for each mount point of the system that is left out; never NULL */
    gboolean needs_dpkg; /* in place only where dpkg's list of packages is there: system_tree_packages will be called */
} SystemTreeOptions;

/* The disk is written in place where it is simple: one ext2/3/4 in a partition, cleanly unmounted or frozen. */
SystemTree *system_tree_open(const SystemTreeOptions *options, GError **error);
void system_tree_free(SystemTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SystemTree, system_tree_free)

/* The paths that a glob(7) pattern matches, sorted in each folder; free the array. Slashes at the end or side by side
 * and "." mean nothing, ".." is an error. A name that begins with a dot is only matched by a dot. Whatever keeps the
 * tree from looking is an error, and not "nothing there". */
GPtrArray *system_tree_match(SystemTree *tree, const char *pattern, GError **error);
/* Whether the tree can change what is at path: one that is written in place sees the EFI partition, but only reads it.
 */
gboolean system_tree_reaches(SystemTree *tree, const char *path);
/* Removes path with everything below it; TRUE also where there is nothing. */
gboolean system_tree_remove(SystemTree *tree, const char *path, GError **error);
/* Makes a plain file empty, which keeps its owner and mode; leaves anything else as it is. */
gboolean system_tree_empty(SystemTree *tree, const char *path, GError **error);
/* *exists: whether there is a file of any kind at path; a dangling link is one. */
gboolean system_tree_exists(SystemTree *tree, const char *path, gboolean *exists, GError **error);
/* The text of a plain file, links followed. *text is NULL where there is none: nothing at all, a link to nothing, a
 * folder, a device, a pipe. A file of more than `limit` bytes is an error. Free it. */
#define SYSTEM_TEXT_MAX (1u << 20) /* the limit for a file that people write, such as settings or keys */
gboolean system_tree_read(SystemTree *tree, const char *path, gsize limit, char **text, GError **error);
/* An existing plain file keeps its owner and mode; a new one is root's, with `mode` (0644), and its folders are made.
 * Anything else at path, and a link to nothing, is an error. */
gboolean system_tree_write(SystemTree *tree, const char *path, const char *text, guint mode, GError **error);
/* A symbolic link, in the place of one that is there; its folders are made. */
gboolean system_tree_link(SystemTree *tree, const char *target, const char *path, GError **error);
/* {"id", "version"} as os-release tells them, for Debian with the minor version; without that file as libguestfs
 * guesses. And [{"name", "version", "architecture"}], with a "type" (a package URL's: rpm, apk, alpm, generic) where
 * dpkg has not installed them. NULL on failure. Free them. */
json_t *system_tree_os(SystemTree *tree, GError **error);
json_t *system_tree_packages(SystemTree *tree, GError **error);
/* For a disk that is delivered: makes zeros of the blocks that no file holds and of what lies in swap, which stays
 * usable, with its UUID and label. The tree's files are not used any more after it; close it. */
gboolean system_tree_wipe(SystemTree *tree, GError **error);
/* Writes everything out; the tree is only freed after it. */
gboolean system_tree_close(SystemTree *tree, GError **error);
