/* What the parts of the audit share: claims from the record, sightings from all four sources. */
#ifndef FLASHGATE_LOADTEST_AUDIT_PRIVATE_H
#define FLASHGATE_LOADTEST_AUDIT_PRIVATE_H

#include "audit.h"

/* What came of one (user, SKU, key) as far as its shopper knows: all presses and attempts together. */
struct claim {
    struct fg_text user, key;
    struct fg_text refusal; /* the code of a settled no; "": none */
    uint64_t quantity;
    uint16_t sku;
    bool is_told;      /* an order was acknowledged */
    bool is_uncertain; /* there may be an order that nobody was told of… */
    bool is_explained; /* …and this is it: set when one was found */
};

struct audit {
    const struct fg_evidence *evidence;
    struct fg_findings *findings;
    struct claim *claims; /* by user, SKU */
    size_t claim_count, claim_capacity;
    struct fg_sighting *sightings;
    size_t sighting_count, sighting_capacity;
    bool *
        only_falls; /* of each SKU: nothing was given back or added, so free stock only ever fell */
};

int audit_compare_texts(struct fg_text a, struct fg_text b);
void audit_add_sighting(struct audit *audit, const struct fg_sighting *sighting);
/* The first claim of a user on a SKU; *count_r: how many. */
struct claim *audit_find_claims(const struct audit *audit, struct fg_text user, uint16_t sku,
                                size_t *count_r);

/* Each part in the order in which they run; later ones use what earlier ones added. */
void audit_answers(struct audit *audit); /* makes the claims and the answers' sightings */
void audit_orders(struct audit *audit);  /* joins the sightings by order; marks claims explained */
void audit_users(struct audit *audit);   /* limits and keys; leaves the sightings sorted by user */
void audit_stock(struct audit *audit, struct fg_sku_units *units);

#endif
