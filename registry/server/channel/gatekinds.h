/* The gates there are, a file each. */
#pragma once

#include "server/channel/gate.h"

extern const Gate gate_approved, gate_base, gate_check, gate_packages, gate_provenance, gate_required, gate_signed,
    gate_soak, gate_tested, gate_window;
