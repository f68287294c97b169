/* bucket-state.h - moving one bucket by state.lua, which pausing, freezing and archiving share. */
#ifndef FLASHGATE_INVENTORY_BUCKET_STATE_H
#define FLASHGATE_INVENTORY_BUCKET_STATE_H

#include "flashgate/inventory/catalogue.h"

/* `reason` may be "" ; *last_r (may be NULL) is the ledger's newest entry afterwards. */
enum fg_result bucket_state_set(struct fg_redis *redis, const struct fg_catalogue_sku *sku,
                                enum fg_sale_state to, const char *reason,
                                struct fg_ledger_entry *last_r,
                                struct fg_error *error) FG_MUST_CHECK;

#endif
