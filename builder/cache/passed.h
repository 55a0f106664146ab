/* Why a build passes over a run that is kept: it is neither too old nor of other inputs, and still not gone on from. */
#pragma once

#include "cache/nodes.h"

/* Of the stage, whose run is in one of the nodes. source: the disk that the plan stands on, NULL: not known; best: what
 * a build goes on from, or NULL. Free it. */
char *passed_why(const GPtrArray *nodes, const Plan *plan, guint stage, const char *source, const Node *best);
