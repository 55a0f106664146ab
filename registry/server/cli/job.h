/* What `ingotd gc`, `scrub` and `mirror` share: the job is done by the server of the folder, or here where nobody
 * serves, and its outcome is printed. */
#pragma once

#include "server/upkeep/job.h"

typedef void (*JobPrint)(const json_t *outcome, const Job *job);
/* The outcome, printed for people or as JSON; then what is told on the way goes to standard error. NULL: an error. */
json_t *cli_job(const char *data, const Job *job, gboolean json, JobPrint print, GError **error);
/* A number of an outcome; 0 where it has none. */
guint64 cli_job_number(const json_t *outcome, const char *key);
