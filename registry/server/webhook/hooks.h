/* Webhooks as the ledger (follow/ledger.h) keeps them: where each posts what, how far it has come in the log of events,
 * and what its receiver answered last. One is never changed, only added and removed, and no number is given twice.
 * Thread safe. */
#pragma once

#include <glib.h>

#include "server/catalogue/database.h"

#define HOOKS_MOST 32u
#define HOOK_TRIES_KEPT 200 /* of each */

typedef struct {
    gint64 id;
    char *url, *pattern, *secret;
    char **kinds; /* NULL: all */
    gboolean allow_private, allow_http;
    gint64 created; /* seconds */
    guint64 place;  /* the number of the last event that is done with */
    guint tries;    /* of the next one, that failed */
    gint64 since;   /* when its receiver began to fail, seconds; 0: it does not */
} Hook;
void hook_free(Hook *hook);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Hook, hook_free)

/* INVALID: a pattern of names is empty, or too long. */
gboolean hook_pattern_check(const char *pattern, GError **error);
/* INVALID: URL, pattern, kinds or secret are wrong; LIMIT: there are HOOKS_MOST. */
gboolean hooks_add(Database *ledger, const Hook *hook, gint64 *id, GError **error);
/* NOT_FOUND. */
gboolean hooks_remove(Database *ledger, gint64 id, GError **error);
Hook *hooks_find(Database *ledger, gint64 id, GError **error);
/* Of Hook *, which it owns. */
GPtrArray *hooks_list(Database *ledger, GError **error);
/* Events up to that number are done with: none of them was for it. */
gboolean hooks_pass(Database *ledger, const Hook *hook, GError **error);

typedef struct {
    gint64 hook, at;   /* at: seconds */
    guint64 number;    /* of the event; 0: a test */
    char *kind, *name; /* of the event */
    guint status;      /* 0: there was no answer */
    guint ms, tries;
    char *answer;  /* its beginning, or why there was none */
    char *outcome; /* "done", "failed", "given up" */
} HookTry;
void hook_try_clear(HookTry *tried);
/* Keeps the outcome of a delivery, in the place of what was kept of it before, and where its webhook stands now, both
 * in one change. Nothing happens where the webhook was removed. */
gboolean hooks_note(Database *ledger, const Hook *hook, const HookTry *tried, GError **error);
/* Keeps the outcome alone. */
gboolean hooks_keep(Database *ledger, const HookTry *tried, GError **error);
/* GArray of HookTry, the newest first; id 0: of all. */
GArray *hooks_tries(Database *ledger, gint64 id, GError **error);
