/* The shape of every program: `PROGRAM VERB [OPTIONS] ARGUMENTS`, its help, its common options, its exit status. */
#pragma once

#include <gio/gio.h>
#include <ingot/progress.h>

G_BEGIN_DECLS

typedef struct {
    const char *name;      /* "push" */
    const char *arguments; /* "IMAGE [DESTINATION]" */
    const char *summary;   /* one line, for the list of verbs */
    const char *help;      /* paragraphs below the options; holds an example */
    /* Options are taken off already by ingot_command_options, which run calls first. */
    gboolean (*run)(int argc, char **argv, GError **error);
    gboolean passes_on; /* its arguments are another program's, options among them: its own stand before the first */
} IngotVerb;

/* Options that all verbs share. Filled by ingot_command_options. */
typedef struct {
    const char *store; /* --store, $INGOT_STORE, ingot/store in the XDG data folder */
    const char *cache; /* --cache, $INGOT_CACHE, ingot in the XDG cache folder */
    gboolean quiet;    /* -q, --quiet */
    gboolean json;     /* --json */
} IngotCommon;

/* Finds the verb that argv[1] names in the table (ended by a NULL name), or as PROGRAM-VERB in the libexec folder
 * ($INGOT_LIBEXEC, `libexec` beside the program, the installed one), runs it, prints its error to stderr as
 * "ingot VERB: message", and returns the exit status. --help, --version and the verbs help and version are handled;
 * options that all verbs share may stand before the verb too. Where the reader of standard output has gone (`ingot … |
 * head`), the program ends by SIGPIPE without a word, as cat and git do: a shell sees 141. */
int ingot_command_main(const char *program, const char *summary, const IngotVerb *verbs, int argc, char **argv);

/* Parses the verb's own options (entries may be NULL) and the common ones out of argc/argv; argv[0] becomes the verb
 * and argv[1..] its arguments. Refuses fewer than min or more than max (-1: any number) arguments with the usage
 * line (INVALID). --help prints and exits. */
gboolean ingot_command_options(const IngotVerb *verb, const GOptionEntry *entries, int min, int max, int *argc,
                               char ***argv, GError **error);

/* The verb's result is a stream that it writes to standard output itself: if that fails since the reader has gone, the
 * program ends as above. */
void ingot_command_streams(void);

/* A verb that does what it should ends with this status instead of 0: that of the command which it ran. */
void ingot_command_exit_with(int status);

const IngotCommon *ingot_command_common(void);
/* The command's one progress display, quiet where -q is. */
IngotProgress *ingot_command_progress(void);

/* The path of a program in the libexec folder, "ingot-build" say; NULL: there is none. Free it. */
char *ingot_command_libexec(const char *name);

/* "0.1.0" */
const char *ingot_command_version(void);

G_END_DECLS
