/* What stands in curl's place while Vagrant runs under `ingot vagrant`.
 *
 * Vagrant gets all it gets by the curl that it finds in $PATH. That one is this program, by another name. Where a box
 * of an Ingot registry is to be downloaded, it makes the file first, but for the last byte, from the store and the
 * chunks that are missing there (fetch.h). Then the real curl takes its place, always, with Vagrant's own arguments,
 * and goes on with the file as with a download that was cut off: the registry gives the last byte, if what it has is
 * that very file, and says what it says to anybody of whom may have it. Where no file could be made, curl downloads the
 * whole. Where a policy asks something of the image, the real curl has no part in it (judge.h). So nothing is known
 * here of versions, constraints, providers, or names of Vagrant's temporary files. */
#pragma once

#include <glib.h>

#define CURL_FRONT "front/curl" /* in the libexec folder: a link to `ingot` */
/* Names the file that is told what goes on; unset: the real curl, and no more. */
#define CURL_VARIABLE "INGOT_VAGRANT"

/* Whether the program was called by that name. */
gboolean curl_is_called(const char *program);
/* Returns only where there is no real curl: the exit status. */
int curl_run(int argc, char **argv);
