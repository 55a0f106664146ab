/* The recipe's language as tables: which keys a map may have and what their values look like.
 *
 * check.c walks a recipe along these tables; schema.c makes the schema of them that editors read. What the kinds of
 * sources, steps and tests have lies in the kinds' own files: see kinds.h. */
#pragma once

#include <glib.h>
#include <jansson.h>

#include "yaml/yaml.h"

typedef enum {
    KIND_STRING,    /* text, not empty, matching the pattern where there is one */
    KIND_SCALAR,    /* text, number or truth value, taken as text; may be empty */
    KIND_SCRIPT,    /* text for a shell, which has ${x} of its own */
    KIND_REGEX,     /* text that is a regular expression (PCRE) */
    KIND_HOST_PATH, /* text: the path of a file on this host, of at most `most` bytes */
    KIND_INTEGER,   /* from least to most */
    KIND_BOOLEAN,
    KIND_SIZE,     /* "4G", or bytes; at least least */
    KIND_DURATION, /* "30m", or seconds */
    KIND_MODE,     /* octal: "0644" */
    KIND_WORD,     /* one of words */
    KIND_FORMAT,   /* the name of a format: see <ingot/format.h> */
    KIND_OBJECT,   /* a map with the keys of shape */
    KIND_CHOICE,   /* a map whose one telling key says which shape it has */
    KIND_MAP,      /* a map of free keys, which match the pattern, to KIND_SCALAR */
    KIND_VARIABLES /* the variables' declarations: free keys to KIND_SCALAR or a map of the shape */
} KeyKind;

typedef struct Shape Shape;
typedef struct Choice Choice;

typedef struct {
    const char *name;
    const char *help; /* one sentence, for editors; NULL: that of its shape or choice */
    KeyKind kind;
    gboolean list;            /* a list of such values */
    guint most_items;         /* that such a list may have; 0: any number */
    gboolean required;        /* must be given */
    gboolean spread;          /* OBJECT: its keys land in the tree beside this one's brothers */
    gboolean secrets;         /* in the value, at any depth, secrets may be used */
    gboolean hidden;          /* STRING: the value is a secret, also where it stands in the recipe itself */
    const char *as;           /* its name in the checked tree; NULL: the same */
    const char *fallback;     /* what stands for it where it is not given, as YAML; NULL: left out */
    const char *pattern;      /* PCRE that is ECMA-262 as well, as JSON Schema wants it */
    const char *hint;         /* what the pattern asks for, in words */
    const char *const *words; /* NULL-terminated */
    gint64 least, most;       /* most 0: no limit */
    const Shape *shape;
    const Choice *choice;
} Key;

struct Check;
struct Shape {
    const char *name; /* in the schema's "$defs" */
    const char *help; /* one sentence, for editors */
    const Key *keys;  /* ended by a NULL name */
    /* Exactly one of these keys is given; NULL: nothing of that kind. */
    const char *const *either;
    /* What the table can't say: see rules.h. NULL: nothing. */
    void (*rule)(const struct Check *check, const YamlNode *map, json_t *checked);
};

typedef struct {
    const char *key;  /* the telling key */
    const char *kind; /* "kind" in the checked tree */
    const Shape *shape;
} Variant;

struct Choice {
    const char *name;               /* in the schema's "$defs", and "unknown NAME 'x'" in messages */
    const char *help;               /* one sentence, for editors */
    const Variant *const *variants; /* ended by NULL */
};

extern const Shape recipe_shape;
