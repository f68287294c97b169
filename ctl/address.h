/* address.h - where the gateways and the relay are when nobody says. Pure. */
#ifndef FLASHGATE_CTL_ADDRESS_H
#define FLASHGATE_CTL_ADDRESS_H

#include "ctl.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"

/* Fills what --admin and --relay left open: the gateway from `environment` (FLASHGATE_ADMIN; NULL or empty:
 * unix:run/admin.sock), the relay as relay.sock beside the first gateway's unix socket. FG_INVALID when
 * an address cannot be one. */
enum fg_result fg_ctl_find_addresses(struct fg_ctl *ctl, const char *environment,
                                     struct fg_error *error) FG_MUST_CHECK;

#endif
