#include "books.h"

#include <stdlib.h>

void fg_books_open(struct fg_books *books, const struct fg_sale *sale)
{
    *books =
        (struct fg_books){ .stock = fg_allocate(fg_sale_sku_count(sale), sizeof *books->stock) };
}

void fg_books_free(struct fg_books *books)
{
    free(books->stock);
    free(books->sightings);
    fg_store_free(&books->store);
    *books = (struct fg_books){ 0 };
}

void fg_books_add(struct fg_books *books, const struct fg_sighting *sighting)
{
    books->sightings =
        fg_grow(books->sightings, &books->capacity, books->count + 1, sizeof *books->sightings);
    books->sightings[books->count++] = *sighting;
}

char fg_order_state(struct fg_text word)
{
    static const struct {
        const char *word;
        char state;
    } states[] = {
        { "held", 'h' },    { "confirmed", 'c' }, { "cancelled", 'x' },
        { "expired", 'e' }, { "reclaimed", 'c' },
    };
    for (size_t i = 0; i < FG_COUNT_OF(states); i++)
        if (fg_text_equal(word, fg_text_of(states[i].word)))
            return states[i].state;
    return 0;
}
