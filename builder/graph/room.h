/* The room for machines: what this process may use of the host's memory and processors. In a container that is less
 * than the host has: every control group above the process (v2, or v1's memory and cpu) may set a limit. */
#pragma once

#include <glib.h>

/* Where the kernel tells of it; a test makes them up. */
typedef struct {
    const char *meminfo; /* /proc/meminfo */
    const char *self;    /* /proc/self/cgroup */
    const char *groups;  /* /sys/fs/cgroup */
} RoomPlaces;
extern const RoomPlaces room_places;

/* Bytes: the least of the host's available memory and of what each group has left. Pages of files that were not used
 * lately count as left, for the kernel takes them back first. */
guint64 room_memory(const RoomPlaces *places);
/* At most `most`, and at least 1. */
guint room_processors(const RoomPlaces *places, guint most);
