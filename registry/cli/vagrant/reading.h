/* Which images of an Ingot's registry a URL may name, for a policy to be asked about each.
 *
 * A URL is read as curl does, who is given it. Where a registry stands below a path of its host (ingotd
 * --external-url), nobody can tell its doors from the path alone: each of them that is found in it is one reading, and
 * so is the host by the name that it has without a final dot or a port that goes without saying. Only one of them is
 * plain: what `ingot` itself would take from there. */
#pragma once

#include <ingot/remote.h>

typedef struct {
    IngotReference *image; /* by tag or digest, or, of a catalogue, by its channel or FETCH_TAG */
    gboolean is_box;       /* else it is a catalogue */
    gboolean is_channel;   /* it is a catalogue of that channel alone */
    gboolean is_plain;
} Reading;

/* All readings of a URL, the plain one first: GPtrArray of Reading. NULL: curl makes other URLs of it. Whether `ingot`
 * would reach the host by that scheme does not matter. */
GPtrArray *readings_of(const char *url);
/* The plain one, or NULL. */
const Reading *readings_plain(const GPtrArray *readings);
