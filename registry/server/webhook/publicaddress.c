#include "server/webhook/publicaddress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

typedef struct {
    guint8 start[16];
    guint bits;
} Prefix;

/* IPv4: all others are public. */
static const Prefix special4[] = {
    {{0}, 8},             /* this network */
    {{10}, 8},            /* private */
    {{100, 64}, 10},      /* of a provider */
    {{127}, 8},           /* this machine */
    {{169, 254}, 16},     /* of a link */
    {{172, 16}, 12},      /* private */
    {{192, 0, 0}, 24},    /* protocols */
    {{192, 0, 2}, 24},    /* examples */
    {{192, 88, 99}, 24},  /* 6to4 relays */
    {{192, 168}, 16},     /* private */
    {{198, 18}, 15},      /* benchmarks */
    {{198, 51, 100}, 24}, /* examples */
    {{203, 0, 113}, 24},  /* examples */
    {{224}, 3},           /* groups, reserved, broadcast */
};
/* IPv6: of what is given out for unicast alone, without these. */
static const Prefix unicast6 = {{0x20}, 3};
static const Prefix special6[] = {
    {{0x20, 0x01}, 23},             /* protocols, Teredo among them */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* examples */
    {{0x3f, 0xff}, 20},             /* examples */
};
/* IPv6 addresses that hold an IPv4 one, and where. */
static const struct {
    Prefix prefix;
    guint at;
} embedding[] = {
    {{{[10] = 0xff, [11] = 0xff}, 96}, 12}, /* mapped */
    {{{0x00, 0x64, 0xff, 0x9b}, 96}, 12},   /* NAT64 */
    {{{0x20, 0x02}, 16}, 2},                /* 6to4 */
};

static gboolean prefix_has(const Prefix *prefix, const guint8 *bytes)
{
    guint whole = prefix->bits / 8, rest = prefix->bits % 8;
    return memcmp(prefix->start, bytes, whole) == 0 &&
           (rest == 0 || ((prefix->start[whole] ^ bytes[whole]) >> (8 - rest)) == 0);
}

static gboolean is_public4(const guint8 *bytes)
{
    for (guint i = 0; i < G_N_ELEMENTS(special4); i++) {
        if (prefix_has(&special4[i], bytes)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean is_public6(const guint8 *bytes)
{
    for (guint i = 0; i < G_N_ELEMENTS(embedding); i++) {
        if (prefix_has(&embedding[i].prefix, bytes)) {
            return is_public4(bytes + embedding[i].at);
        }
    }
    for (guint i = 0; i < G_N_ELEMENTS(special6); i++) {
        if (prefix_has(&special6[i], bytes)) {
            return FALSE;
        }
    }
    return prefix_has(&unicast6, bytes);
}

gboolean address_is_public(const struct sockaddr *address)
{
    switch (address->sa_family) {
    case AF_INET:
        return is_public4((const guint8 *)&((const struct sockaddr_in *)(const void *)address)->sin_addr);
    case AF_INET6:
        return is_public6((const guint8 *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    default:
        return FALSE;
    }
}
