/* The package list of an image, as an SPDX 2.3 document in JSON says it (spdx.github.io/spdx-spec/v2.3). */
#pragma once

#include "base/json.h"

#define PACKAGES_PREDICATE "https://spdx.dev/Document/v2.3" /* of a statement that is one */
#define PACKAGES_MAX (32u << 20)                            /* bytes of a document */
#define PACKAGES_VALUES 1000000u                            /* JSON values in it */

typedef struct {
    char *name;
    char *version; /* as the package manager writes it, with its epoch; NULL: the document doesn't say */
    char *type;    /* of its package URL: "deb", "rpm", …; NULL: it has none */
} Package;

/* GPtrArray of Package, in the document's order. CORRUPT: it is not such a document. A package without a name is passed
 * over, one without a version is not: the image has it. Thread safe. */
GPtrArray *packages_parse(const void *bytes, gsize size, GError **error);
