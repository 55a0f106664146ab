/* The lifecycle of an image: whether its registry says that it may be used.
 *
 * What was said is a JSON object {"state", "reason", "by", "at", "from"}: one of the words below, why (one line, at
 * most LIFECYCLE_REASON_MAX bytes), who said it and when, and from when on it counts; "by" may be missing. Dates are
 * RFC 3339 in UTC. An image of which nothing was said (NULL) is active. Pure functions. */
#pragma once

#include <ingot/digest.h>

#include "base/json.h"

#define LIFECYCLE_REASON_MAX 512 /* bytes */

/* Headers of answers that give a manifest: what is said of it as JSON, in ASCII; and what is said of a base that it
 * stands on, with the "name" and "digest" of that base. And of requests: give it although it is withheld. */
#define LIFECYCLE_HEADER "Ingot-Lifecycle"
#define LIFECYCLE_BASE_HEADER "Ingot-Lifecycle-Base"
#define LIFECYCLE_ALLOW_HEADER "Ingot-Allow"
#define LIFECYCLE_ALLOW "revoked"

typedef enum {
    LIFECYCLE_ACTIVE,
    LIFECYCLE_DEPRECATED, /* it is given, with a warning */
    LIFECYCLE_DISABLED,   /* it is withheld, and may come back */
    LIFECYCLE_REVOKED,    /* it is withheld, and all that is built on it is warned of */
} Lifecycle;

const char *lifecycle_word(Lifecycle state);
/* INVALID names the nearest word. */
gboolean lifecycle_parse(const char *word, Lifecycle *state, GError **error);
/* "2026-11-30" (its first second) or RFC 3339 with a zone -> seconds since 1970. INVALID. */
gboolean lifecycle_date(const char *text, gint64 *at, GError **error);
/* INVALID: a reason is one line of UTF-8 without control characters, and not too long. */
gboolean lifecycle_check_reason(const char *reason, GError **error);

/* What is said; by and reason may be NULL. The caller has checked the reason. */
json_t *lifecycle_say(Lifecycle state, const char *reason, const char *by, gint64 at, gint64 from);
/* What another machine has said, as its JSON: its known members alone, without what a terminal would obey; NULL where
 * it is nothing of the kind. */
json_t *lifecycle_read(const char *text);
/* The same, as a header has it: ASCII. Free it. */
char *lifecycle_write(const json_t *said);
Lifecycle lifecycle_of(const json_t *said);
/* From when on it counts, seconds. */
gint64 lifecycle_from(const json_t *said);
/* Whether it is disabled or revoked. */
gboolean lifecycle_withholds(const json_t *said);
/* "revoked by alice, from 2026-11-30T00:00:00Z on: CVE-2026-1" on one line, for people; free it. */
char *lifecycle_tell(const json_t *said);
