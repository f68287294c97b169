/* address.h - where the gateways and the relay are when nobody says, and what they are told over TCP. */
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

/* Reads ctl->token from `file` (--token-file; NULL: from the file that `environment`, FLASHGATE_TOKEN_FILE, names) when
 * an address is over TCP; a unix socket is sent none. It is the caller's to free. */
enum fg_result fg_ctl_read_token(struct fg_ctl *ctl, const char *file, const char *environment,
                                 struct fg_error *error) FG_MUST_CHECK;

#endif
