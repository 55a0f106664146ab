/* The server's private door: a socket in the data folder, by which verbs hand jobs to the process that serves it.
 *
 * Each server that shares a folder has one of its own, and a verb takes the first that answers.
 *
 * A job ends with the verb that asked for it: its connection is watched while the job runs.
 *
 * HTTP over a Unix socket of mode 0600: who may write to the data folder may do this, nobody else. */
#pragma once

#include "server/upkeep/job.h"

typedef struct Control Control;
/* Runs a job that has come; from any thread. The outcome, or NULL. */
typedef json_t *(*ControlRun)(const Job *job, JobTell tell, gpointer to, gpointer user, GError **error);

Control *control_start(const char *data, ControlRun run, gpointer user, GError **error);
void control_stop(Control *control);

/* Hands a job to the server of a data folder and waits for its outcome; *served FALSE: nobody serves it. */
json_t *control_ask(const char *data, const Job *job, JobTell tell, gpointer user, gboolean *served, GError **error);
