/* The reserve: a file of nothing but room, so that garbage can be collected on a full disk. Deleting rows takes room
 * first: the catalogue's log grows, and the log of events does. A collection that finds the disk full lets go of the
 * reserve, and makes it again once there is room. */
#pragma once

/* Makes it where it is missing and there is room for twice as much. */
void reserve_make(const char *data);
/* Lets go of it where the disk has less room than it takes. */
void reserve_release(const char *data);
