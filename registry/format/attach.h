/* How a described machine has its disks: on which controller each hangs, and where on it. A disk whose bus the image
 * does not tell, or that the describing format has no controller for, hangs on SATA. */
#pragma once

#include <ingot/format.h>

#define ATTACH_DISKS_MAX 30u /* of a machine: what one SATA controller takes */

typedef enum { ATTACH_SATA, ATTACH_SCSI, ATTACH_IDE, ATTACH_NVME } AttachBus;

typedef struct {
    AttachBus bus;
    guint controller; /* of that bus: 0, 1, … */
    guint unit;       /* on it */
} Attach;

/* One for each disk of the input: array of input_count of them; free it. nvme: the format has such a controller. */
Attach *attach_disks(const IngotFormatInput *input, gboolean nvme);
