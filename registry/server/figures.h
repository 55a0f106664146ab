/* What the server's metrics and its readiness say beside requests: of the storage, its upkeep and the views. */
#pragma once

#include "server/http/status.h"

extern const StatusSources figures_sources;
