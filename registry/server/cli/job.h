/* What `ingotd gc` and `ingotd scrub` share: the job is done by the server of the folder, or here where nobody serves.
 */
#pragma once

#include <stdio.h>

#include "server/upkeep/job.h"

/* The outcome; what it tells on the way goes to `out`. NULL: an error. */
json_t *cli_job(const char *data, const Job *job, FILE *out, GError **error);
