/* A job: one collection of garbage, one sweep of what collections had to leave, one scrub, one mirroring of
 * repositories or of Vagrant's boxes, or one merging of small packs, described so that it can be handed to the process
 * that serves.
 *
 * The verbs `ingotd gc`, `ingotd scrub` and `ingotd mirror` run it themselves when nobody serves the folder, else the
 * server does (control.h). Its outcome is a JSON object: what was done, in numbers; lines tell of each thing on the
 * way. */
#pragma once

#include "base/json.h"

#include "server/storage/scrub.h"
#include "server/storage/storage.h"

typedef struct {
    enum { JOB_COLLECT, JOB_SWEEP, JOB_SCRUB, JOB_MIRROR, JOB_MERGE, JOB_BOXES } kind;
    gboolean dry_run; /* of a collection */
    /* Of a collection (collect.h): seconds, and policies (keep.h; NULL: none). */
    guint64 grace, untagged;
    char **keeps;
    guint64 rate; /* bytes a second, of a scrub; 0: as fast as it goes */
    /* HOST[:PORT] or a URL (remote.h), from where a scrub repairs (NULL: it does not), or what is mirrored. */
    char *from;
    char *pattern; /* of the names that are mirrored */
    char **boxes;  /* that are mirrored from a catalogue of Vagrant's (boxmirror.h); NULL or none: all that it has */
    /* Of a scrub by the timer: seconds that it may take (0: as long as it takes), and where it goes on. */
    guint64 slice;
    ScrubPlace place;
    /* Whether the client that wants it has gone, and with it the wish; NULL: it has none. Not part of its text. */
    gboolean (*gone)(gpointer client);
    gpointer client;
} Job;
void job_clear(Job *job);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Job, job_clear)

json_t *job_to_json(const Job *job);
gboolean job_from_json(const json_t *object, Job *job, GError **error);

typedef void (*JobTell)(const char *line, gpointer user);
/* The outcome; NULL: it could not be done. What is damaged is part of an outcome. */
json_t *job_run(Storage *storage, const Job *job, JobTell tell, gpointer user, GError **error);
