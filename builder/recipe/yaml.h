/* YAML text as a tree of nodes that know their place, read by libfyaml with limits that hold hostile text off.
 *
 * A node may hang in several places, since an alias is its anchor's node; the tree has no cycles and, with every alias
 * counted in full, at most YAML_MOST_NODES nodes. Keys are scalars, each once in its map. */
#pragma once

#include "recipe/diagnostics.h"

#define YAML_MOST_BYTES (1u << 20)
#define YAML_MOST_NODES 50000
#define YAML_MOST_DEPTH 32

typedef enum { NODE_SCALAR, NODE_LIST, NODE_MAP } NodeKind;
/* What a scalar is by the core schema of YAML 1.2: plain ones by their looks, quoted ones always text. */
typedef enum { SCALAR_TEXT, SCALAR_NULL, SCALAR_BOOLEAN, SCALAR_INTEGER, SCALAR_FLOAT } ScalarType;

typedef struct Node Node;
struct Node {
    NodeKind kind;
    ScalarType type;
    char *text;       /* of a scalar */
    GPtrArray *items; /* of a list: Node *; of a map: key, value, key, value … */
    Place place;
    const char *document; /* the whole text that it was read from, borrowed */
    gsize start, end;     /* its bytes in it */
    guint weight;         /* nodes in it, with itself */
};

typedef struct {
    GPtrArray *nodes; /* owns them */
    Node *root;       /* NULL: there was a mistake */
} YamlTree;

/* text must outlive the tree. Mistakes go to diagnostics; with some of them (a key twice) there is still a tree. */
YamlTree *yaml_parse(const char *text, gsize size, const char *name, Diagnostics *diagnostics);
void yaml_tree_free(YamlTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(YamlTree, yaml_tree_free)

/* The value of a key in a map, or NULL. */
const Node *node_get(const Node *map, const char *key);
/* Where a part of a scalar's text stands in the document; the scalar's own place if it is not found as it is. */
Place node_place_of(const Node *scalar, const char *part);
/* "a list", "a number": for messages. */
const char *node_noun(const Node *node);
