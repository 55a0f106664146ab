/* Labels of SELinux: what is written from outside has none, or that of the appliance. */
#pragma once

#include <glib.h>
#include <guestfs.h>

/* On a system with SELinux: gives path the label that its policy has for it. Where the appliance cannot, the system is
 * told to give all its files theirs when it boots (/.autorelabel), as after an installation. */
gboolean selinux_label(guestfs_h *g, const char *path, GError **error);
/* The same for all files: nobody knows which have been written. */
gboolean selinux_label_all(guestfs_h *g, GError **error);

/* The name of the policy that /etc/selinux/config chooses; NULL where it says that SELinux is disabled. Free it. */
char *selinux_policy(const char *config);
