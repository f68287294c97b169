/* nouns.h - the functions behind the verbs, one file a noun. Each asks, prints to ctl->out, and says with its
 * result how the program ends. `values` are as many as the table of verbs.c demands, then NULL. */
#ifndef FLASHGATE_CTL_NOUNS_H
#define FLASHGATE_CTL_NOUNS_H

#include "ctl.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"

#define FG_CTL_VERB(name)                                                    \
    enum fg_result name(const struct fg_ctl *ctl, const char *const *values, \
                        struct fg_error *error) FG_MUST_CHECK

FG_CTL_VERB(fg_status);
FG_CTL_VERB(fg_sale_apply);
FG_CTL_VERB(fg_sale_list);
FG_CTL_VERB(fg_sale_show);
FG_CTL_VERB(fg_sale_pause);
FG_CTL_VERB(fg_sale_resume);
FG_CTL_VERB(fg_sale_end);
FG_CTL_VERB(fg_sale_resolve);
FG_CTL_VERB(fg_sale_archive);
FG_CTL_VERB(fg_stock_add);
FG_CTL_VERB(fg_order_show);
FG_CTL_VERB(fg_orders);
/* FG_REFUSED when one of several was refused. */
FG_CTL_VERB(fg_order_confirm);
FG_CTL_VERB(fg_order_cancel);
/* FG_REFUSED when books differ. */
FG_CTL_VERB(fg_audit);
FG_CTL_VERB(fg_audit_archive); /* with --archive */
/* FG_INVALID: --archive names a place, and the relay knows only its own. */
enum fg_result fg_check_archive_name(const struct fg_ctl *ctl,
                                     struct fg_error *error) FG_MUST_CHECK;
FG_CTL_VERB(fg_report);
FG_CTL_VERB(fg_config_check);
FG_CTL_VERB(fg_config_diff);
FG_CTL_VERB(fg_config_reload);
FG_CTL_VERB(fg_config_rollback);
FG_CTL_VERB(fg_config_show);
FG_CTL_VERB(fg_limits);
FG_CTL_VERB(fg_breakers);
FG_CTL_VERB(fg_breaker_force_state);
FG_CTL_VERB(fg_dead_list);
FG_CTL_VERB(fg_dead_show);
/* FG_REFUSED when letters stay. */
FG_CTL_VERB(fg_dead_retry);
FG_CTL_VERB(fg_dead_drop);
FG_CTL_VERB(fg_explain);

#endif
