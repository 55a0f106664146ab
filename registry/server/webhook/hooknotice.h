/* What a webhook says of an event of the log: of which kind it is, and what belongs to it. */
#pragma once

#include "base/json.h"

typedef struct {
    guint64 number; /* of the event */
    const char *kind;
    gint64 at;           /* seconds */
    char *name;          /* of a pipeline: its pattern */
    char *channel, *tag; /* NULL: none; a channel has no tag beside it */
    char *digest;        /* NULL: none */
    char *by, *reason;   /* NULL: not known */
    char *from;          /* from when on it counts, where that is later; NULL: since it was said */
    gboolean forced;     /* although gates refused */
    char *body;          /* as it is sent; NULL: not made yet. The owner's to set */
} HookNotice;
void hook_notice_free(HookNotice *notice);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HookNotice, hook_notice_free)

/* All kinds, ended by NULL. */
const char *const *hook_kinds(void);

/* NULL: it is nothing that a webhook tells. */
HookNotice *hook_notice_read(guint64 number, const json_t *event);
/* Whether the later one, of a channel, says more of what the one before it has said of the same tag. */
gboolean hook_notice_completes(const HookNotice *later, const HookNotice *before);

/* "event-17"; free it. It stays the same however often it is sent. */
char *hook_notice_id(const HookNotice *notice);
/* The JSON that is sent; version NULL: none is known. Free it. */
char *hook_notice_write(const HookNotice *notice, const char *version);
