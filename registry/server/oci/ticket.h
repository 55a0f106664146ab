/* An upload's place in a URL: its id with a keyed hash of the id and the repository that it was begun in.
 *
 * So nobody goes on with, ends, or drops an upload by the name of another repository, whatever ids are known or
 * guessed; and what has come of it is never to be had in a repository that it was not meant for. Nothing is kept for
 * it. */
#pragma once

#include "server/http/request.h"

/* "ID.HASH"; free it. */
char *ticket_write(const Request *request, const char *name, const char *id);
/* The id; NULL where the ticket is not of that repository. Free it. */
char *ticket_read(const Request *request, const char *name, const char *ticket);
