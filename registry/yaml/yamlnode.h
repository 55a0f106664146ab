/* Nodes: one value of a YAML text, which knows where it stands in it. */
#pragma once

#include "yaml/diagnostics.h"

typedef enum { YAML_SCALAR, YAML_LIST, YAML_MAP } YamlKind;
/* What a scalar is by the core schema of YAML 1.2: plain ones by their looks, quoted ones always text. */
typedef enum { SCALAR_TEXT, SCALAR_NULL, SCALAR_BOOLEAN, SCALAR_INTEGER, SCALAR_FLOAT } ScalarType;

typedef struct YamlNode YamlNode;
struct YamlNode {
    YamlKind kind;
    ScalarType type;
    char *text;       /* of a scalar */
    GPtrArray *items; /* of a list: YamlNode *; of a map: key, value, key, value … */
    Place place;
    const char *document; /* the whole text that it was read from, borrowed */
    gsize start, end;     /* its bytes in it */
    guint weight;         /* nodes in it, with itself */
    gboolean wrong;       /* a scalar that is none: its mistake has been reported, nothing more is said of it */
    gboolean cut;         /* a list or map that a syntax error interrupts: what is missing may stand behind it */
};

/* The value of a key in a map, or NULL. */
const YamlNode *yaml_get(const YamlNode *map, const char *key);
/* Where a part of a scalar's text stands in the document; the scalar's own place if it is not found as it is. */
Place yaml_place_of(const YamlNode *scalar, const char *part);
/* "a list", "a number": for messages. */
const char *yaml_noun(const YamlNode *node);

/* For the parser. */
void yaml_node_free(gpointer node);
ScalarType yaml_plain_type(const char *text);
/* Line and column of a byte of a text. */
Place yaml_place_of_byte(const char *file, const char *text, gsize offset);
