/* The bootstrapped tree: a tar archive, and the files that make a machine of it.
 *
 * The tree is never unpacked: the settings replace or drop its files by name while the file system is filled. So they
 * win over whatever mmdebstrap or a package left, and nobody needs root. */
#pragma once

#include "base/json.h"

/* One file of the settings. mode holds the type as st_mode does; 0: the tree's file of that name is dropped. */
typedef struct {
    char *path;    /* without a leading slash */
    guint mode;    /* S_IFREG, S_IFLNK or S_IFDIR with permissions, or 0 */
    char *content; /* bytes of a text file; the target of a link */
} TreeFile;

typedef struct {
    const char *root_uuid;
    const char *esp_uuid; /* as FAT has it: "1234-ABCD" */
    const char *apt;      /* the text of sources.list */
    const char *apt_conf; /* the text of a file of apt.conf.d */
} TreeOptions;

/* The settings, in the order in which they are written: GPtrArray of TreeFile. */
GPtrArray *tree_settings(const TreeOptions *options);

/* What an image says of its system: "os" is {"id","version"}, packages [{"name","version","architecture"}] in
 * dpkg's order. A tree without a kernel, an initrd or an init is refused. */
typedef struct {
    json_t *os;
    json_t *packages;
} TreeFacts;
gboolean tree_facts(const char *tar, TreeFacts *facts, GError **error);
void tree_facts_clear(TreeFacts *facts);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TreeFacts, tree_facts_clear)
