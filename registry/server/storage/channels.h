/* Channels: the tags that machines run, and that move by promotion alone. */
#pragma once

#include <glib.h>

#define CHANNELS "dev", "test", "prod"

static inline gboolean is_channel(const char *tag)
{
    static const char *const channels[] = {CHANNELS, NULL};
    return g_strv_contains(channels, tag);
}
