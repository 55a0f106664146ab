/* The machine's hardware in an OVF descriptor: the Items that are controllers and drives. */
#pragma once

#include "bundle/ovf.h"

typedef struct {
    char *id;       /* InstanceID */
    char *type;     /* ResourceType, a number */
    char *subtype;  /* ResourceSubType */
    char *parent;   /* the InstanceID of its controller */
    char *address;  /* of a controller */
    char *unit;     /* AddressOnParent */
    char *resource; /* HostResource: "ovf:/disk/ID" */
} OvfItem;

void ovf_item_free(gpointer item); /* a GDestroyNotify */
/* The field that the element of that name sets; NULL: none that matters. */
char **ovf_item_field(OvfItem *item, const char *element);
/* Fills drives and unused from the Items (of OvfItem): drives come by their controllers, in the order in which these
 * have one, and by their addresses there. Where an Item's disk can't be told, or there are none, all disks are drives,
 * in the descriptor's order. A drive that names a file without a Disk adds one to disks. */
void ovf_items_apply(const GPtrArray *items, Ovf *ovf);
