/* --for HOST/NAME: what the pipeline of that name requires of every build, added to the recipes that are asked for. */
#pragma once

#include "graph/graph.h"

/* where: HOST/NAME; NULL: nothing is added. The requirement is what the registry says now. */
gboolean requirement_add(const char *where, const Graph *graph, GError **error);
/* "HOST/NAME requires (sha256:…): tests cis.yaml; outputs qcow2"; NULL: nothing is required. Free it. */
char *requirement_line(const Recipe *recipe);

/* The option of the verbs that take it. */
#define FOR_OPTION(where)                                                                                              \
    {                                                                                                                  \
        "for", 0, 0, G_OPTION_ARG_STRING, &(where), "Add the tests and outputs that this name's pipeline requires",    \
            "HOST/NAME"                                                                                                \
    }
