/* The http test: asked from the host, through a forwarded port, as a user of the machine would. */
#pragma once

#include "check/kinds.h"

gboolean check_http(const CheckContext *context, const json_t *test, char **reason, GError **error);
