#include "format/attach.h"

#include "format/guest.h"
#include "format/input.h"

/* What a bus takes on each of its controllers, and how many of these there are. */
typedef struct {
    const char *name;
    guint units, controllers;
    guint host; /* the unit that the controller has itself; past them: none */
} Bus;

static const Bus buses[] = {
    [ATTACH_SATA] = {"sata", 30, 1, 30},
    [ATTACH_SCSI] = {"scsi", 16, 4, 7},
    [ATTACH_IDE] = {"ide", 2, 2, 2},
    [ATTACH_NVME] = {"nvme", 15, 2, 15},
};

static AttachBus bus_of(const IngotFormatInput *input, gboolean nvme)
{
    const char *name = guest_bus(input);
    for (guint i = 0; i < G_N_ELEMENTS(buses); i++) {
        if (g_strcmp0(name, buses[i].name) == 0 && (nvme || i != ATTACH_NVME)) {
            return (AttachBus)i;
        }
    }
    return ATTACH_SATA;
}

/* The next free place of a bus; *taken: how many units were given out, the host's among them. */
static gboolean take(AttachBus bus, guint *taken, Attach *attach)
{
    const Bus *kind = &buses[bus];
    *taken += *taken % kind->units == kind->host;
    if (*taken >= kind->units * kind->controllers) {
        return FALSE;
    }
    *attach = (Attach){.bus = bus, .controller = *taken / kind->units, .unit = *taken % kind->units};
    (*taken)++;
    return TRUE;
}

/* What does not fit on its own bus any more goes to SATA, which takes all that a machine may have. */
Attach *attach_disks(const IngotFormatInput *input, gboolean nvme)
{
    guint count = input_count(input), taken[G_N_ELEMENTS(buses)] = {0};
    Attach *list = g_new0(Attach, count);
    for (guint k = 0; k < count; k++) {
        const IngotFormatInput one = input_of(input, k);
        AttachBus bus = bus_of(&one, nvme);
        if (!take(bus, &taken[bus], &list[k])) {
            take(ATTACH_SATA, &taken[ATTACH_SATA], &list[k]);
        }
    }
    return list;
}
