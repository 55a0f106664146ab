/* A pass: what a URL carries that may be read without a login, for one or two hours: "UNTIL.HASH", a time and a keyed
 * hash of it and of the URL's path.
 *
 * Vagrant shows name and password of a catalogue's URL for the catalogue alone. So whoever logs in like that gets a
 * pass with the address of each box; all passes of one hour and path are the same, so that a download that was cut off
 * goes on. Nothing is kept for it: it ends with its time alone. */
#pragma once

#include "server/http/request.h"

#define PASS "pass" /* the query's key */

/* Free it. */
char *pass_write(const Request *request, const char *path);
/* Whether the request brings one for its path. */
gboolean pass_opens(const Request *request);
