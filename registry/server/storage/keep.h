/* A policy: which tags of which repositories stay. All other tags that it speaks of go.
 *
 * As a text it is PATTERN=RULE[,RULE...]. The first policy counts whose pattern fits the repository's name and which
 * speaks of the tag. It speaks of versions, or of the tags that fit its tags=GLOB; never of a channel. A tag stays if
 * any of its rules says so; one whose manifest a channel names stays always. */
#pragma once

#include <glib.h>

typedef struct {
    char *pattern;   /* of repositories: * is any run of characters */
    char *tags;      /* of the tags that it speaks of; NULL: versions */
    guint newest;    /* so many stay: versions by their order, other tags by when they were pushed */
    guint64 age;     /* what was pushed within so many seconds stays */
    guint64 pulled;  /* what was pulled within so many seconds stays */
    guint64 channel; /* what a channel named within so many seconds stays */
} Keep;

/* GArray of Keep; free it. */
GArray *keeps_new(void);
/* Adds one; INVALID. */
gboolean keeps_add(GArray *keeps, const char *text, GError **error);
/* The one that counts for the tag, which is not a channel; NULL: the tag stays. */
const Keep *keeps_find(const GArray *keeps, const char *repository, const char *tag);
