/* The verbs of `ingotd`, one file each; main.c lists them. Without a verb it serves. */
#pragma once

#include <glib.h>

typedef struct {
    const char *name;      /* "serve" */
    const char *arguments; /* "--data DIR NAME" */
    const char *summary;   /* one line, for the list of verbs */
    const char *help;      /* paragraphs below the options; holds an example */
    gboolean (*run)(int argc, char **argv, GError **error);
} Verb;

extern const Verb verb_audit, verb_backup, verb_gc, verb_mirror, verb_rebuild, verb_restore, verb_scrub, verb_serve,
    verb_token, verb_user, verb_webhook;

/* Parses a verb's options out of argc/argv; argv[1..] become its arguments, and fewer than min or more than max are
 * refused with the usage (INVALID). --help prints and exits. */
gboolean verb_options(const Verb *verb, const GOptionEntry *entries, int min, int max, int *argc, char ***argv,
                      GError **error);
/* What --data says; INVALID where it is missing. */
gboolean verb_needs_data(const char *data, GError **error);
/* Whether that is a data folder: one that is mistyped is not made. NOT_FOUND where it is not. */
gboolean verb_finds_data(const char *data, GError **error);
/* For what a verb says as it works: a line on standard error. */
void verb_print_line(const char *line, gpointer user);
/* The URL of another registry, without what follows its host, or HOST[:PORT] alone; free it. INVALID: it is neither. */
char *verb_url_of(const char *url, GError **error);
