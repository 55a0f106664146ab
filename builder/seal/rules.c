#include "seal/rules.h"

#define LIST(...)                                                                                                      \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        __VA_ARGS__, NULL                                                                                              \
    }

const SealRule seal_rules[] = {
    /* Empty and not missing: a missing one makes systemd treat the next boot as a first one, which resets the presets
     * of units that the recipe has set. */
    {"machine-id", LIST("/var/lib/dbus/machine-id"), LIST("/etc/machine-id")},
    {"host-keys", LIST("/etc/ssh/ssh_host_*"), NULL},
    {"random-seed",
     LIST("/var/lib/systemd/random-seed", "/var/lib/urandom/random-seed", "/boot/loader/random-seed",
          "/boot/efi/loader/random-seed"),
     NULL},
    {"leases",
     LIST("/var/lib/dhcp/*", "/var/lib/dhcpcd/*", "/var/lib/NetworkManager/*.lease", "/var/lib/systemd/network/*",
          "/var/lib/cloud/*"),
     NULL},
    {"logs",
     LIST("/var/log/journal/*", "/var/log/*.gz", "/var/log/*.[0-9]", "/var/log/*/*.gz", "/var/log/*/*.[0-9]",
          "/var/log/installer", "/var/lib/systemd/coredump/*", "/var/crash/*"),
     LIST("/var/log/*", "/var/log/*/*")},
    {"package-cache",
     LIST("/var/cache/apt/archives/*.deb", "/var/cache/apt/archives/partial/*", "/var/cache/apt/*.bin",
          "/var/lib/apt/lists/*_*", "/var/lib/apt/lists/partial/*", "/var/cache/dnf/*", "/var/cache/yum/*",
          "/var/cache/zypp/*", "/var/cache/pacman/pkg/*", "/var/cache/apk/*"),
     NULL},
    {"history", LIST("/root/.*_history", "/home/*/.*_history", "/root/.lesshst", "/root/.viminfo", "/root/.wget-hsts"),
     NULL},
    {"temporary", LIST("/tmp/*", "/tmp/.[!.]*", "/var/tmp/*", "/var/tmp/.[!.]*"), NULL},
    {NULL, NULL, NULL},
};
