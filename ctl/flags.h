/* flags.h - the flags that belong to verbs, one table. A verb names those it takes by a mask of
 * FG_OWN_BIT; the others are refused with it. */
#ifndef FLASHGATE_CTL_FLAGS_H
#define FLASHGATE_CTL_FLAGS_H

#include "ctl.h"
#include "flashgate/base/arguments.h"

#define FG_OWN_BIT(flag) (1U << (flag))
#define FG_OWN_ALL       (FG_OWN_BIT(FG_OWN_FLAGS) - 1)

/* Without dashes. */
const char *fg_own_flag_name(enum fg_own_flag flag);
/* Rows for the flags in `mask`, storing into `ctl`, and the row that ends them. */
void fg_own_flag_rows(struct fg_ctl *ctl, unsigned mask, struct fg_flag rows[FG_OWN_FLAGS + 1]);

#endif
