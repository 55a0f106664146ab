/* Hiding: a recipe's text with some of its scalars blanked, by where they stand and not by what they say.
 *
 * A scalar can be written in many ways (plain, quoted, folded, with escapes, over several lines), so that looking for
 * its value in the text would miss it. */
#pragma once

#include "yaml/yamlnode.h"

/* scalars: of const YamlNode *; those of other documents are passed over. Free the result. */
char *hide_scalars(const char *text, const GPtrArray *scalars);
