/* A limit for the whole of a command: when its time is over, the command is interrupted as by a signal. */
#pragma once

#include <glib.h>

typedef struct TimeLimit TimeLimit;

/* text: "90s", "30m", "2h"; INVALID for anything else; NULL: no limit, and none is made. */
gboolean time_limit_begin(const char *text, TimeLimit **limit, GError **error);
void time_limit_free(TimeLimit *limit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TimeLimit, time_limit_free)
