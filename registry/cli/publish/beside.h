/* The rows of a site's index for what a tag beside an image names: of lists of signatures, to which anybody who may
 * write the registry's tag adds, or not.
 *
 * Publishers see the tag at different times, so none of them knows what it names last. None takes away what another has
 * published: what the tag named before stays as such (LAYOUT_BEFORE), unless what it names now holds all of it. */
#pragma once

#include <jansson.h>

#include "cli/publish/site.h"

/* Puts a row of attached_row (LAYOUT_BESIDE) among the rows of the index. folder: of the blobs, within the site, which
 * has those of all rows. */
void beside_put(Site *site, const char *folder, json_t *rows, json_t *row);
