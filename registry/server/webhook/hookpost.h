/* A signed POST of JSON to somebody else's server, whose address whoever named it may not have chosen well.
 *
 * It goes to a public address alone (publicaddress.h), which is asked of the one that is connected to, so that a name
 * which changes its address meanwhile helps nobody; by https; to no other place that an answer names; by no proxy. A
 * whole exchange has a time, and an answer a size. Thread safe. */
#pragma once

#include <glib.h>

#define HOOK_ANSWER_MAX (64u << 10) /* bytes of an answer that are read */

typedef struct {
    const char *url, *secret;
    gboolean allow_private; /* to an address that is not public */
    gboolean allow_http;
    guint seconds;    /* that all of it may take */
    const char *kind; /* of the event, for a header */
    const char *id;   /* of the delivery, likewise */
    const char *body; /* JSON */
} HookPost;

typedef struct {
    guint status; /* 0: none came */
    guint ms;
    GString *body;   /* at most HOOK_ANSWER_MAX bytes; NULL: none came */
    gboolean cut;    /* there was more */
    char *signature; /* NULL: it has none */
} HookAnswer;
void hook_answer_clear(HookAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(HookAnswer, hook_answer_clear)

/* INVALID: it is not a URL of https or http, or has a user's name or a password in it, which everybody would read. */
gboolean hook_url_check(const char *url, GError **error);

/* TRUE: there is an answer, of whatever status. NETWORK: there is none, or not within the time. DENIED: its address is
 * not to be reached. INTERRUPTED: the thread's GCancellable (base/process.h). */
gboolean hook_post(const HookPost *post, HookAnswer *answer, GError **error);
