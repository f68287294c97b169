/* timer.c - a clock with four hands.
 *
 *   level 0   64 slots of    1 ms      a timer lies on the lowest level whose hand reaches it
 *   level 1   64 slots of   64 ms      in one turn; when a higher level's hand comes to a slot, the
 *   level 2   64 slots of    4 s       slot's timers are placed again, closer to their time
 *   level 3   64 slots of  262 s
 *
 * Time does not tick: the bit maps of occupied slots give the next tick at which a slot fires or is
 * placed again, and advancing jumps from one to the next. An hour without timers costs nothing.
 *
 * Invariants: a set timer lies in exactly one slot; on a level above 0 never in the slot of
 * `now_ms`; a timer that was due already lies in level 0's slot of `now_ms` and fires at the next
 * advance; a slot that holds a timer has its bit set. Advancing first gathers all that is due in
 * order of time, then calls: a function that sets a timer for the past cannot keep the loop here.
 * Timers are the callers'. */
#include "flashgate/base/timer.h"

#include <assert.h>

#include "flashgate/base/attributes.h"
#include "flashgate/base/clock.h"

enum {
    SLOT_BITS = 6,
    SLOT_MASK = FG_TIMER_SLOTS - 1,
    TOP = FG_TIMER_LEVELS - 1
};

static_assert(FG_TIMER_SLOTS == 1 << SLOT_BITS, "a level's slots are one bit map of 64");

static uint64_t turn_of(uint64_t tick, unsigned level)
{
    return tick >> (SLOT_BITS * level);
}

static void place(struct fg_timer_wheel *wheel, struct fg_timer *timer)
{
    uint64_t due = timer->due_ms > wheel->now_ms ? timer->due_ms : wheel->now_ms;
    unsigned level = 0;
    while (level < TOP && turn_of(due, level) - turn_of(wheel->now_ms, level) >= FG_TIMER_SLOTS) {
        level++;
    }
    uint64_t turn = turn_of(due, level);
    uint64_t farthest = turn_of(wheel->now_ms, level) + FG_TIMER_SLOTS - 1;
    uint64_t slot = (turn < farthest ? turn : farthest) & SLOT_MASK;
    fg_list_append(&wheel->slots[level][slot], &timer->node);
    wheel->occupied[level] |= UINT64_C(1) << slot;
}

/* The next tick at which a level has something to do, from `now_ms` on; UINT64_MAX: never. */
static uint64_t next_tick_of(const struct fg_timer_wheel *wheel, unsigned level)
{
    uint64_t occupied = wheel->occupied[level];
    if (occupied == 0) {
        return UINT64_MAX;
    }
    uint64_t turn = turn_of(wheel->now_ms, level);
    unsigned hand = (unsigned)(turn & SLOT_MASK);
    uint64_t from_hand = hand == 0 ? occupied : occupied >> hand | occupied << (64 - hand);
    return (turn + (unsigned)__builtin_ctzll(from_hand)) << (SLOT_BITS * level);
}

static uint64_t next_tick(const struct fg_timer_wheel *wheel)
{
    uint64_t next = UINT64_MAX;
    for (unsigned level = 0; level < FG_TIMER_LEVELS; level++) {
        uint64_t tick = next_tick_of(wheel, level);
        next = tick < next ? tick : next;
    }
    return next;
}

/* Moves the timers of the slot at the hand of `level` to the end of `list`. */
static void empty_slot(struct fg_timer_wheel *wheel, unsigned level, struct fg_list *list)
{
    uint64_t slot = turn_of(wheel->now_ms, level) & SLOT_MASK;
    struct fg_list *from = &wheel->slots[level][slot];
    while (!fg_list_is_empty(from)) {
        struct fg_list *node = from->next;
        fg_list_remove(node);
        fg_list_append(list, node);
    }
    wheel->occupied[level] &= ~(UINT64_C(1) << slot);
}

static struct fg_timer *timer_of(struct fg_list *node)
{
    return FG_CONTAINER_OF(node, struct fg_timer, node);
}

/* At a tick where a higher level's hand moves on, its slot's timers come closer. */
static void bring_closer(struct fg_timer_wheel *wheel, unsigned level)
{
    struct fg_list timers;
    fg_list_init(&timers);
    empty_slot(wheel, level, &timers);
    while (!fg_list_is_empty(&timers)) {
        struct fg_timer *timer = timer_of(timers.next);
        fg_list_remove(&timer->node);
        place(wheel, timer);
    }
}

/* Appends all timers due until `until_ms` to `due`, in order of time, and sets the wheel to then.
 */
static void gather(struct fg_timer_wheel *wheel, uint64_t until_ms, struct fg_list *due)
{
    for (uint64_t tick = next_tick(wheel); tick <= until_ms; tick = next_tick(wheel)) {
        wheel->now_ms = tick;
        for (unsigned level = TOP; level > 0; level--) {
            if (next_tick_of(wheel, level) == tick) {
                bring_closer(wheel, level);
            }
        }
        empty_slot(wheel, 0, due);
    }
    wheel->now_ms = until_ms;
}

void fg_timer_wheel_init(struct fg_timer_wheel *wheel, uint64_t now_ns)
{
    *wheel = (struct fg_timer_wheel){ .now_ms = now_ns / FG_MS_IN_NS };
    for (unsigned level = 0; level < FG_TIMER_LEVELS; level++) {
        for (unsigned slot = 0; slot < FG_TIMER_SLOTS; slot++) {
            fg_list_init(&wheel->slots[level][slot]);
        }
    }
}

void fg_timer_init(struct fg_timer *timer, fg_timer_fired *fired)
{
    *timer = (struct fg_timer){ .fired = fired };
    fg_list_init(&timer->node);
}

void fg_timer_set(struct fg_timer_wheel *wheel, struct fg_timer *timer, uint64_t due_ns)
{
    fg_timer_stop(wheel, timer);
    timer->due_ms = due_ns / FG_MS_IN_NS + (due_ns % FG_MS_IN_NS != 0);
    place(wheel, timer);
    wheel->armed++;
}

/* When `node` is the only one of a slot, its neighbours on both sides are the slot: clears its bit,
 * so that a timer that is moved often leaves no wake-ups behind. */
static void clear_bit_if_last(struct fg_timer_wheel *wheel, const struct fg_list *node)
{
    uintptr_t first = (uintptr_t)&wheel->slots[0][0];
    uintptr_t neighbour = (uintptr_t)node->next;
    if (node->next != node->previous || neighbour < first ||
        neighbour >= first + sizeof wheel->slots) {
        return;
    }
    size_t index = (neighbour - first) / sizeof wheel->slots[0][0];
    wheel->occupied[index / FG_TIMER_SLOTS] &= ~(UINT64_C(1) << (index % FG_TIMER_SLOTS));
}

void fg_timer_stop(struct fg_timer_wheel *wheel, struct fg_timer *timer)
{
    if (!fg_timer_is_set(timer)) {
        return;
    }
    clear_bit_if_last(wheel, &timer->node);
    fg_list_remove(&timer->node);
    assert(wheel->armed > 0);
    wheel->armed--;
}

bool fg_timer_is_set(const struct fg_timer *timer)
{
    return !fg_list_is_empty(&timer->node);
}

void fg_timer_wheel_advance(struct fg_timer_wheel *wheel, uint64_t now_ns)
{
    struct fg_list due;
    fg_list_init(&due);
    uint64_t until_ms = now_ns / FG_MS_IN_NS;
    gather(wheel, until_ms > wheel->now_ms ? until_ms : wheel->now_ms, &due);
    while (!fg_list_is_empty(&due)) {
        struct fg_timer *timer = timer_of(due.next);
        fg_timer_stop(wheel, timer);
        timer->fired(timer, now_ns);
    }
}

uint64_t fg_timer_wheel_wait_ns(const struct fg_timer_wheel *wheel, uint64_t now_ns,
                                uint64_t maximum_ns)
{
    uint64_t tick = next_tick(wheel);
    if (tick > UINT64_MAX / FG_MS_IN_NS) {
        return maximum_ns;
    }
    uint64_t due_ns = tick * FG_MS_IN_NS;
    if (due_ns <= now_ns) {
        return 0;
    }
    return due_ns - now_ns < maximum_ns ? due_ns - now_ns : maximum_ns;
}
