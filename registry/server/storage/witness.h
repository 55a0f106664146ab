/* What the catalogue of a data folder says of the log of events, without opening it: that might change it. */
#pragma once

#include "server/events/eventlog.h"

/* The last event by the catalogue that is there, damaged or not. It is read out of a copy, which is made beside it for
 * that time. FALSE: it can't be read, or knows of no event. */
gboolean witness_read(const char *path, EventMark *mark);
