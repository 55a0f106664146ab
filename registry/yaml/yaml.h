/* YAML text as a tree of nodes that know their place, read by libfyaml with limits that hold hostile text off.
 *
 * A node may hang in several places, since an alias is its anchor's node; the tree has no cycles and, with every alias
 * counted in full, at most YAML_MOST_NODES nodes. Keys are scalars, each once in its map. */
#pragma once

#include "yaml/yamlnode.h"

#define YAML_MOST_BYTES (1u << 20)
#define YAML_MOST_NODES 50000
#define YAML_MOST_DEPTH 32

typedef struct {
    GPtrArray *nodes; /* owns them */
    YamlNode *root;   /* NULL: nothing of the text can be checked */
} YamlTree;

/* text must outlive the tree. Mistakes go to diagnostics; with most of them there is still a tree, of all that can be
 * read: after a syntax error the reader goes on at the next key of the top level. */
YamlTree *yaml_parse(const char *text, gsize size, const char *name, Diagnostics *diagnostics);
void yaml_tree_free(YamlTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(YamlTree, yaml_tree_free)
